// What two sides agree on: the comment at Capability in proto/plugind/plugin/v1/plugin.proto.
// Plugins take the outcome from their host; only the fake host works it out.
"use strict";

function parse(version) {
  return version.split(".").map(Number);
}

// The highest minor of each major.
function majors(versions) {
  const found = new Map();
  for (const [major, minor] of versions.map(parse)) {
    found.set(major, Math.max(minor, found.get(major) ?? 0));
  }
  return found;
}

// The version that both have, or undefined. No versions on one side: the other's highest.
function agree(mine, theirs) {
  const [a, b] = [majors(mine), majors(theirs)];
  const common = [...(a.size === 0 ? b : a).keys()].filter((major) => b.size === 0 || b.has(major));
  if (common.length === 0) return undefined;
  const major = Math.max(...common);
  return `${major}.${Math.min(a.get(major) ?? Infinity, b.get(major) ?? Infinity)}`;
}

// hosts and plugins: lists of { name, versions, required }. Returns { agreed, missing }; missing
// names what one side requires and the other lacks.
function agreement(host, plugin) {
  const agreed = {};
  for (const offered of host) {
    const own = plugin.find(({ name }) => name === offered.name);
    const version = own && agree(offered.versions, own.versions);
    if (version !== undefined) agreed[offered.name] = version;
  }
  const missing = [...host, ...plugin]
    .filter(({ name, required }) => required && !Object.hasOwn(agreed, name))
    .map(({ name }) => name);
  return { agreed, missing: [...new Set(missing)] };
}

module.exports = { agreement };
