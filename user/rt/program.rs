//! Build script of every package with programs of AnT: hands their linker script to the linker.

fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let mut above = std::path::Path::new(&dir).ancestors().map(|dir| dir.join("rt/link.ld"));
    let script = above.find(|script| script.exists()).expect("the package lies below user/");
    println!("cargo:rustc-link-arg-bins=-T{}", script.display());
    println!("cargo:rerun-if-changed={}", script.display());
}
