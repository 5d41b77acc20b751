"""A sample of each host's file, as the host's documentation shows it, with a server of somebody else.

`SAMPLES` has the place of the user's file, the member of the servers, and the text. `PRINTED` has the documented form
of hosts whose file is not edited.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """The file of a host: its place in the home directory, and a content from the documentation.

    `fields` are the members of an entry in that documentation; `in_project` is the file of one project.
    """

    place: str
    member: str
    text: str
    fields: frozenset[str]
    in_project: str | None = None


STANDARD = frozenset({"command", "args", "env"})
_CLAUDE_DESKTOP = """\
{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/path/to/Desktop"]
    }
  }
}
"""
_CLAUDE_CODE = """\
{
  "numStartups": 4,
  "mcpServers": {
    "airtable": { "type": "stdio", "command": "npx", "args": ["-y", "airtable-mcp-server"], "env": {} }
  },
  "projects": { "/path/to/project": { "allowedTools": [] } }
}
"""
_CODEX = """\
# The model that every session begins with.
model = "gpt-5-codex"

[mcp_servers.context7]
command = "npx"
args = ["-y", "@upstash/context7-mcp"]

[mcp_servers.context7.env]
MY_ENV_VAR = "MY_ENV_VALUE"  # seen by the server

[features]
web_search = true
"""
_COPILOT = """\
{
  "mcpServers": {
    "playwright": {
      "type": "local",
      "command": "npx",
      "args": ["@playwright/mcp@latest"],
      "env": {},
      "tools": ["*"]
    },
    "context7": {
      "type": "http",
      "url": "https://mcp.context7.com/mcp",
      "headers": { "CONTEXT7_API_KEY": "YOUR-API-KEY" },
      "tools": ["*"]
    }
  }
}
"""
_CURSOR = """\
{
  "mcpServers": {
    "server-name": {
      "command": "npx",
      "args": ["-y", "mcp-server"],
      "env": {
        "API_KEY": "value"
      }
    }
  }
}
"""
_GEMINI = """\
{
  // Which theme the terminal has.
  "ui": { "theme": "GitHub" },
  "mcpServers": {
    "pythonTools": {
      "command": "python",
      "args": ["-m", "my_mcp_server", "--port", "8080"],
      "cwd": "./mcp-servers/python",
      "env": { "DATABASE_URL": "$DB_CONNECTION_STRING" },
      "timeout": 15000
    }
  }
}
"""
_JUNIE = """\
{
  "mcpServers": {
    "Context7": {
      "command": "npx",
      "args": ["-y", "@upstash/context7-mcp"],
      "env": {}
    }
  }
}
"""
_KIRO = """\
{
  "mcpServers": {
    "local-server-name": {
      "command": "command-to-run-server",
      "args": ["arg1", "arg2"],
      "env": {
        "ENV_VAR1": "hard-coded-variable",
        "ENV_VAR2": "${EXPANDED_VARIABLE}"
      },
      "disabled": false,
      "autoApprove": ["tool_name1", "tool_name2"],
      "disabledTools": ["tool_name3"]
    }
  }
}
"""
_LM_STUDIO = """\
{
  "mcpServers": {
    "hf-mcp-server": {
      "url": "https://huggingface.co/mcp",
      "headers": {
        "Authorization": "Bearer <YOUR_HF_TOKEN>"
      }
    }
  }
}
"""
_VSCODE = """\
{
\t// Asked for once, then stored.
\t"inputs": [
\t\t{ "type": "promptString", "id": "perplexity-key", "description": "API Key", "password": true },
\t],
\t"servers": {
\t\t"perplexity": {
\t\t\t"type": "stdio",
\t\t\t"command": "npx",
\t\t\t"args": ["-y", "server-perplexity-ask"],
\t\t\t"env": { "PERPLEXITY_API_KEY": "${input:perplexity-key}" }
\t\t}, // of the team
\t\t/* "off": { "url": "https://example.com/mcp" } */
\t}
}
"""
_WINDSURF = """\
{
  "mcpServers": {
    "github": {
      "command": "docker",
      "args": ["run", "-i", "--rm", "-e", "GITHUB_PERSONAL_ACCESS_TOKEN", "ghcr.io/github/github-mcp-server"],
      "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "your_token" }
    },
    "zapier": { "serverUrl": "https://actions.zapier.com/mcp/YOUR_MCP_KEY/sse" }
  }
}
"""

SAMPLES = {
    "claude-desktop": Sample(
        ".config/Claude/claude_desktop_config.json", "mcpServers", _CLAUDE_DESKTOP, STANDARD, None
    ),
    "claude-code": Sample(".claude.json", "mcpServers", _CLAUDE_CODE, STANDARD | {"type"}, ".mcp.json"),
    "codex": Sample(
        ".codex/config.toml", "mcp_servers", _CODEX, STANDARD | {"startup_timeout_sec"}, ".codex/config.toml"
    ),
    "copilot": Sample(".copilot/mcp-config.json", "mcpServers", _COPILOT, STANDARD | {"type", "tools"}, ".mcp.json"),
    "cursor": Sample(".cursor/mcp.json", "mcpServers", _CURSOR, STANDARD, ".cursor/mcp.json"),
    "gemini": Sample(".gemini/settings.json", "mcpServers", _GEMINI, STANDARD, ".gemini/settings.json"),
    "junie": Sample(".junie/mcp/mcp.json", "mcpServers", _JUNIE, STANDARD, ".junie/mcp/mcp.json"),
    "kiro": Sample(".kiro/settings/mcp.json", "mcpServers", _KIRO, STANDARD, ".kiro/settings/mcp.json"),
    "lm-studio": Sample(".lmstudio/mcp.json", "mcpServers", _LM_STUDIO, STANDARD, None),
    "vscode": Sample(".config/Code/User/mcp.json", "servers", _VSCODE, STANDARD | {"type"}, ".vscode/mcp.json"),
    "windsurf": Sample(".codeium/windsurf/mcp_config.json", "mcpServers", _WINDSURF, STANDARD, None),
}

PRINTED = {
    "zed": """\
{
  "context_servers": {
    "local-mcp-server": {
      "command": "some-command",
      "args": ["arg-1", "arg-2"],
      "env": {}
    }
  }
}
""",
    "opencode": """\
{
  "mcp": {
    "my-local-mcp-server": {
      "type": "local",
      "command": ["npx", "-y", "my-mcp-command"],
      "enabled": true,
      "environment": { "MY_ENV_VAR": "my_env_var_value" }
    }
  }
}
""",
    "goose": """\
extensions:
  github:
    name: GitHub
    cmd: npx
    args: [-y, "@modelcontextprotocol/server-github"]
    enabled: true
    envs: { "GITHUB_PERSONAL_ACCESS_TOKEN": "<YOUR_TOKEN>" }
    type: stdio
""",
}
