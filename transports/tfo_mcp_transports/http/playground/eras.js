// The differences between the two eras of the protocol.
//
// Owns the only revision literals of this page, and for each era the opening of a connection, the metadata of requests,
// the log level and the subscription to list changes. Sends through the given client; knows no socket and no element.

import { CAPABILITIES } from "./dialogue.js";

const PREFIX = "io.modelcontextprotocol/";
const CLIENT_INFO = { name: "tfo-mcp-playground", title: "tfo-mcp playground", version: "1.0.0" };

const stateless = {
  revision: "2026-07-28",
  label: "2026-07-28 (stateless)",

  params(params, { logLevel, progressToken }) {
    const meta = {
      [`${PREFIX}protocolVersion`]: this.revision,
      [`${PREFIX}clientInfo`]: CLIENT_INFO,
      [`${PREFIX}clientCapabilities`]: CAPABILITIES,
    };
    if (logLevel) meta[`${PREFIX}logLevel`] = logLevel;
    if (progressToken !== undefined) meta.progressToken = progressToken;
    return { ...params, _meta: meta };
  },

  async begin(client) {
    const found = await client.request("server/discover");
    return {
      revision: this.revision,
      supported: found.supportedVersions,
      capabilities: found.capabilities ?? {},
      server: found._meta?.[`${PREFIX}serverInfo`] ?? found.serverInfo ?? {},
      instructions: found.instructions,
    };
  },

  async setLogLevel() {}, // part of every request

  async watch(client, { tools, prompts, resources }) {
    const wanted = {};
    if (tools?.listChanged) wanted.toolsListChanged = true;
    if (prompts?.listChanged) wanted.promptsListChanged = true;
    if (resources?.listChanged) wanted.resourcesListChanged = true;
    if (Object.keys(wanted).length > 0) await client.request("subscriptions/listen", { notifications: wanted });
  },
};

const handshake = {
  revision: "2025-11-25",
  label: "2025-11-25 (handshake)",

  params(params, { progressToken }) {
    return progressToken === undefined ? params : { ...params, _meta: { progressToken } };
  },

  async begin(client) {
    const made = await client.request("initialize", {
      protocolVersion: this.revision,
      capabilities: CAPABILITIES,
      clientInfo: CLIENT_INFO,
    });
    client.notify("notifications/initialized");
    return {
      revision: made.protocolVersion,
      capabilities: made.capabilities ?? {},
      server: made.serverInfo ?? {},
      instructions: made.instructions,
    };
  },

  async setLogLevel(client, level, { logging }) {
    if (logging && level) await client.request("logging/setLevel", { level });
  },

  async watch() {}, // a session gets list changes without a subscription
};

/** Return the revision and the message of a stateless request that stands alone: without answers to questions. */
export function statelessRequest(method, params) {
  const { revision } = stateless;
  const _meta = {
    [`${PREFIX}protocolVersion`]: revision,
    [`${PREFIX}clientInfo`]: { name: "curl", version: "1" },
    [`${PREFIX}clientCapabilities`]: {},
  };
  return { revision, message: { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } } };
}

/** The supported eras, the preferred one first. */
export const ERAS = [stateless, handshake];
