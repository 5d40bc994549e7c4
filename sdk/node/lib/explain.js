// What the program says of itself: to a person who runs it by hand, and for --plugind-info.
"use strict";

const { SDK } = require("./contract");

function info(description) {
  const { name, version, services, protocolVersions, capabilities, configSchema } = description;
  return {
    name,
    version,
    services,
    protocolVersions,
    capabilities,
    ...(configSchema === "" ? {} : { configSchema: JSON.parse(configSchema) }),
    sdk: SDK,
  };
}

function explanation({ name, version }, cookie, found) {
  if (found !== undefined && found !== "") {
    return (
      `${name}: ${cookie.key} is set, but to another value than this plugin was made for.\n` +
      "The host that started it expects another kind of plugin; magic_cookie in its plugind\n" +
      `configuration must say value = "${cookie.value}".\n`
    );
  }
  const command = process.argv
    .slice(0, 2)
    .map((part) => JSON.stringify(part))
    .join(", ");
  const own = cookie.key !== "PLUGIND_PLUGIN" || cookie.value !== "1";
  const line = own
    ? `    magic_cookie = { key = "${cookie.key}", value = "${cookie.value}" }\n`
    : "";
  return (
    `${name} ${version} is a plugin: a host starts it and calls it over gRPC. By itself it does nothing.\n` +
    `To run it under plugind, write plugins.d/${name}.toml beside plugind.toml:\n\n` +
    `    command = [${command}]\n${line}\n` +
    `then: pluginctl reload && pluginctl status ${name}\n` +
    `What it serves: ${process.argv.slice(0, 2).join(" ")} --plugind-info\n`
  );
}

module.exports = { explanation, info };
