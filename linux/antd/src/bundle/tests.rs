use std::fs;

use ant_logic::bundle::Bundle;

use super::*;

/// A directory with `init`, two programs, and a manifest; it goes with the value.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, servers: &[(&str, &str)]) -> Self {
        let dir = std::env::temp_dir().join(format!("antd-bundle-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("programs")).unwrap();
        fs::write(dir.join("init"), b"\x7fELF init").unwrap();
        fs::write(dir.join("programs/one"), b"\x7fELF number one").unwrap();
        fs::write(dir.join("programs/two"), b"\x7fELF number two, which is longer").unwrap();
        let entry = |(name, program): &(&str, &str)| {
            format!(
                "[[server]]\nname = \"{name}\"\nprogram = \"{program}\"\npriority = 5\ncpu = 0\n\
                 restart = {{ tries = 5, within_ms = 1, delay_ms = 1 }}\n"
            )
        };
        let manifest: String = servers.iter().map(entry).collect();
        fs::write(dir.join("manifest.toml"), manifest).unwrap();
        Self(dir)
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        let (manifest, init) = (self.0.join("manifest.toml"), self.0.join("init"));
        let read = read(&manifest, &init, &TableSizes::USUAL);
        read.map_err(|error| error.to_string())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where a header can be.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn a_bundle_is_what_ant_reads() {
    let servers =
        [("name", "programs/one"), ("other", "./programs/two"), ("third", "programs/one")];
    let bytes = Files::new("read", &servers).read().unwrap();
    let words = aligned(&bytes);
    let bundle = Bundle::parse(words.as_bytes(), TableSizes::USUAL.ica_pages).unwrap();
    assert_eq!(bundle.init(), b"\x7fELF init");
    let servers: Vec<_> = bundle.servers().collect();
    assert_eq!(servers.iter().map(|one| one.name).collect::<Vec<_>>(), ["name", "other", "third"]);
    assert_eq!(servers[0].program, b"\x7fELF number one");
    assert_eq!(servers[1].program, b"\x7fELF number two, which is longer");
    // One program is there once.
    assert_eq!(servers[2].program.as_ptr(), servers[0].program.as_ptr());
}

#[test]
fn a_program_that_is_not_there_is_refused_with_its_line() {
    let files = Files::new("missing", &[("name", "programs/one"), ("other", "programs/none")]);
    let text = files.read().unwrap_err();
    assert!(text.contains("/manifest.toml:9: cannot take "), "{text}");
    assert!(text.contains("/programs/none as a program: No such file"), "{text}");
    assert!(text.ends_with("install it, or name another"), "{text}");
    let text = Files::new("usual", &[("name", "no-such-server")]).read().unwrap_err();
    assert!(text.contains("/usr/lib/ant/servers/no-such-server"), "{text}");
    let text = Files::new("dir", &[("name", "/etc/passwd")]).read().unwrap_err();
    assert!(text.contains("manifest.toml:3: ") && text.contains("it is no program"), "{text}");
}

#[test]
fn no_init_no_bundle() {
    let files = Files::new("init", &[("name", "programs/one")]);
    fs::remove_file(files.0.join("init")).unwrap();
    let text = files.read().unwrap_err();
    assert!(text.contains("/init as AnT's first process: No such file"), "{text}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let names = ["name", "b", "c", "d", "e"];
    let programs = names.map(|name| (name, format!("./{name}")));
    let servers: Vec<_> = programs.iter().map(|(name, path)| (*name, path.as_str())).collect();
    let files = Files::new("large", &servers);
    for name in names {
        fs::write(files.0.join(name), [&b"\x7fELF"[..], &[0; 900 << 10]].concat()).unwrap();
    }
    let text = files.read().unwrap_err();
    assert!(text.contains("and 4096 KiB is the most: leave servers out"), "{text}");
}
