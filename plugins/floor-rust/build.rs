//! The Rust code of hash.proto, made by protoc of the package protobuf-compiler.

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=hash.proto");
    tonic_prost_build::configure()
        .build_client(false)
        .compile_protos(&["hash.proto"], &["."])
}
