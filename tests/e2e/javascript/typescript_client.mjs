// Runs a visit with the official TypeScript client and prints its observations as one line of JSON.
// The only argument is a JSON object: transport, mode, url or server (a child to start), and the errand. Asserts nothing.

import { writeFileSync } from 'node:fs';

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const { transport, mode, url, server, errand } = JSON.parse(process.argv[2]);

const open = {
  stdio: () => new StdioClientTransport(server),
  http: () => new StreamableHTTPClientTransport(new URL(url)),
  sse: () => new SSEClientTransport(new URL(url)),
};

const client = new Client({ name: 'visitor', version: '1.0.0' }, { versionNegotiation: { mode } });
await client.connect(open[transport]());

const call = ({ name, arguments: args }, options) => client.callTool({ name, arguments: args }, options);

const { tools } = await client.listTools();
const results = {};
for (const [key, wanted] of Object.entries(errand.calls)) {
  results[key] = await call(wanted);
}

const progress = [];
const onprogress = (report) => {
  progress.push([report.progress, report.total, report.message]);
  if (report.progress === errand.number) writeFileSync(errand.signal, '');
};
results.watched = await call(errand.watched, { onprogress });

const revision = client.getNegotiatedProtocolVersion();
console.log(JSON.stringify({ revision, tools: tools.map((tool) => tool.name), results, progress }));
await client.close();
