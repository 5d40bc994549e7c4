// plugind.host.v1, as tables. Only plugins that call their host load it.
"use strict";

const { Empty, service } = require("./messages");
const { Message } = require("./wire");

// proto/plugind/host/v1/host.proto
const GetSelfResponse = new Message({
  name: [1, "string"],
  instance: [2, "string"],
  protocolVersion: [3, "uint32"],
  capabilities: [4, "string", "map"],
  host: [5, "string"],
  hostVersion: [6, "string"],
});
const Peer = new Message({
  name: [1, "string"],
  state: [2, "string"],
  version: [3, "string"],
  services: [4, "string", "repeated"],
  methods: [5, "string", "repeated"],
});
const ListPeersResponse = new Message({ peers: [1, Peer, "repeated"] });
const SetStatusRequest = new Message({ text: [1, "string"] });

const host = service("plugind.host.v1.Host", {
  GetSelf: [Empty, GetSelfResponse],
  ListPeers: [Empty, ListPeersResponse],
  SetStatus: [SetStatusRequest, Empty],
});

module.exports = {
  host,
  messages: { GetSelfResponse, ListPeersResponse, Peer, SetStatusRequest },
};
