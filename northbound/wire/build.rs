//! Compiles the .proto files with protox: no protoc on the machine is needed.

use std::io;

fn main() -> io::Result<()> {
    const FILE: &str = "proto/relais/north/v1/north.proto";
    println!("cargo:rerun-if-changed={FILE}");
    let descriptors = protox::compile([FILE], ["proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().compile_fds(descriptors)
}
