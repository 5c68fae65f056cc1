//! Hands the linker script to the linker and the built `init` to the kernel.

fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-T{dir}/link.ld");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-env-changed=ANT_INIT_ELF");
    let init = std::env::var("ANT_INIT_ELF").expect("ANT_INIT_ELF: build with `./ant build`");
    println!("cargo:rerun-if-changed={init}");
    println!("cargo:rustc-env=ANT_INIT_ELF={init}");
}
