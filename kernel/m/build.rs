//! Hands the built `init` to the m-kernel, which embeds it.

fn main() {
    println!("cargo:rerun-if-env-changed=ANT_INIT_ELF");
    let init = std::env::var("ANT_INIT_ELF").expect("ANT_INIT_ELF: build with `./ant build`");
    println!("cargo:rerun-if-changed={init}");
    println!("cargo:rustc-env=ANT_INIT_ELF={init}");
}
