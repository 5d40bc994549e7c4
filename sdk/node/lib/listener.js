// The Unix socket, ours and not gRPC's: nobody else may open it, not even for the moment between
// bind and chmod; and at the end it is gone before running calls are waited for.
"use strict";

const fs = require("node:fs");
const net = require("node:net");

const { groupId } = require("./offer");

// sun_path, without its NUL.
const MAX_PATH = 107;

// What a process that was killed has left in a folder that is the plugin's own.
function removeStale(path) {
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isSocket()) fs.unlinkSync(path);
}

// Listens at `path`; each connection is given to `accept`. Resolves to { close() }.
function listen(path, group, accept) {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new Error(`the path of a socket holds ${MAX_PATH} bytes; this one is longer: ${path}`);
  }
  const gid = group === "" ? undefined : groupId(group);
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      // The other end may go at any time; what was running on it hears of that from gRPC.
      socket.on("error", () => {});
      accept(socket);
    });
    server.once("error", (error) => {
      reject(new Error(`listen on ${path}: ${error.message}`, { cause: error }));
    });
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        try {
          if (gid !== undefined) shareWith(path, gid);
        } catch (error) {
          server.close();
          reject(error);
          return;
        }
        // Out of file descriptors, say: the next connection is another chance.
        server.on("error", () => {});
        resolve({ close: () => server.close() });
      });
    } finally {
      process.umask(mask);
    }
  });
}

function shareWith(path, gid) {
  fs.chownSync(path, -1, gid);
  fs.chmodSync(path, 0o660);
}

module.exports = { listen, removeStale };
