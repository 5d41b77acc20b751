// Lists the tools with a version 1 of the official TypeScript SDK, calls some of them, and prints the results as JSON.
// The only argument is a JSON object: sdk (the package's alias), calls, and either server (a child to start) or url and
// headers. Asserts nothing.

const { sdk, server, url, headers, calls } = JSON.parse(process.argv[2]);
const { Client } = await import(`${sdk}/client/index.js`);
const { StdioClientTransport } = await import(`${sdk}/client/stdio.js`);
const { StreamableHTTPClientTransport } = await import(`${sdk}/client/streamableHttp.js`);

const client = new Client({ name: sdk, version: '1' });
await client.connect(
  server ? new StdioClientTransport(server) : new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }),
);

const { tools } = await client.listTools();
const results = [];
for (const call of calls) {
  results.push(await client.callTool(call));
}

console.log(JSON.stringify({ tools, results }));
await client.close();
