// npm's postinstall. `npm install FOLDER` makes a link to this folder and leaves it without the
// packages that it needs; then they are put into it. A copy (--install-links, a tarball, a
// registry) has them already.
"use strict";

try {
  require.resolve("@grpc/grpc-js");
  require.resolve("@grpc/proto-loader");
} catch {
  const arguments_ = [
    "install",
    "--omit=dev",
    "--ignore-scripts",
    "--no-save",
    "--no-package-lock",
  ];
  require("node:child_process").execFileSync("npm", arguments_, {
    cwd: require("node:path").join(__dirname, ".."),
    stdio: "inherit",
  });
}
