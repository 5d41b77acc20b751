/**
 * Peer (c) of the benchmarks: an echo server on the official TypeScript SDK.
 *
 * It serves stdio, and both eras of Streamable HTTP on one endpoint: calls with sessions go to one long-lived
 * server per session, stateless calls to the SDK's per-request handler. Responses are plain JSON wherever the
 * SDK supports it.
 *
 *   node server.mjs stdio|http [--port N] [--tools N] [--stateless] [--shop]
 *
 * --tools N registers N tools besides `echo`; --stateless also serves the handshake era without sessions;
 * --shop registers the tools of the shop workload, as peers/shop_tools.py does.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

import { localhostHostValidation, localhostOriginValidation, NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const STATELESS_REVISION = '2026-07-28';
const arguments_ = z.object({ message: z.string() });
const echo = ({ message }) => ({ content: [{ type: 'text', text: message }] });

const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
        port: { type: 'string', default: '0' },
        tools: { type: 'string', default: '0' },
        stateless: { type: 'boolean', default: false },
        shop: { type: 'boolean', default: false }
    }
});

function buildServer() {
    const server = new McpServer({ name: 'typescript-sdk', version: '1.0.0' }, { capabilities: { tools: {} } });
    server.registerTool('echo', { description: 'Answers with the message', inputSchema: arguments_ }, echo);
    for (let number = 0; number < Number(values.tools); number++) {
        const name = `tool_${String(number).padStart(5, '0')}`;
        server.registerTool(name, { description: `Answers with the message (tool ${number})`, inputSchema: arguments_ }, echo);
    }
    registerShop?.(server);
    return server;
}

const registerShop = values.shop ? (await import('./shop_tools.mjs')).registerShop : undefined;

/** One transport and one server per session, kept until the client deletes the session. */
function sessionHandler() {
    const sessions = new Map();
    return async (request, response) => {
        const known = sessions.get(request.headers['mcp-session-id']);
        if (known !== undefined) return known.handleRequest(request, response);
        const transport = new NodeStreamableHTTPServerTransport({
            enableJsonResponse: true,
            sessionIdGenerator: randomUUID,
            onsessioninitialized: id => void sessions.set(id, transport),
            onsessionclosed: id => void sessions.delete(id)
        });
        await buildServer().connect(transport);
        return transport.handleRequest(request, response);
    };
}

function serveHttp(port) {
    const perRequest = toNodeHandler(createMcpHandler(buildServer, { responseMode: 'json' }));
    const perSession = values.stateless ? perRequest : sessionHandler();
    const hostAllowed = localhostHostValidation();
    const originAllowed = localhostOriginValidation();
    const server = createServer((request, response) => {
        if (!hostAllowed(request, response) || !originAllowed(request, response)) return;
        const handler = request.headers['mcp-protocol-version'] === STATELESS_REVISION ? perRequest : perSession;
        handler(request, response).catch(error => {
            console.error(error);
            response.destroy(error);
        });
    });
    server.listen(port, '127.0.0.1');
}

if (positionals[0] === 'http') serveHttp(Number(values.port));
else serveStdio(buildServer);
