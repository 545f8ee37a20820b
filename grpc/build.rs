//! The types of the interface, made from its `.proto` without any tool that has to be installed.

use std::error::Error;
use std::path::PathBuf;

use protox::prost::Message as _;

const PROTO: &str = "seatallocator/v1/seat_allocator.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile([PROTO], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    Ok(())
}
