use ant_abi::bundle::BundleServer;

use super::*;

const NAME: &str = "\
[[server]]
name = \"name\"
program = \"ant-name\"
priority = 5
cpu = 0
restart = { tries = 5, within_ms = 10_000, delay_ms = 20 }
";
/// Begins in line 7.
const SERIAL: &str = "\
[[server]]
name = \"serial\"
program = \"ant-serial\"
priority = 5
cpu = 1
state_pages = 1
ica_pages = 20
uses = [\"name\"]
ports = [{ start = 0x2f8, len = 8 }]
memory = [{ start = 0xfed0_0000, len = 0x1000 }]
interrupts = [{ line = 3, bit = 0 }]
restart = { tries = 5, within_ms = 10_000, delay_ms = 100 }
watch = { every_ms = 1000, answer_ms = 500 }
";

fn both() -> String {
    [NAME, SERIAL].concat()
}

fn parse(text: &str) -> Result<Vec<ManifestServer>, String> {
    let parsed = Manifest::parse(Path::new("/m.toml"), text, &TableSizes::USUAL);
    parsed.map(|manifest| manifest.servers).map_err(|error| error.to_string())
}

/// The manifest of both is refused, changed so, in `line`, saying `what`.
fn refused(from: &str, to: &str, line: usize, what: &str) {
    assert!(both().contains(from), "{from}");
    refused_text(&both().replacen(from, to, 1), line, what);
}

fn refused_text(text: &str, line: usize, what: &str) {
    let said = parse(text).unwrap_err();
    assert!(said.starts_with(&format!("/m.toml:{line}: ")) && said.contains(what), "{said}");
}

fn record(text: &str, index: usize) -> BundleServer {
    parse(text).unwrap()[index].record
}

#[test]
fn what_is_said_of_servers_is_taken() {
    let servers = parse(&both()).unwrap();
    assert_eq!(servers.len(), 2);
    assert_eq!((servers[0].program.as_str(), servers[0].line), ("ant-name", 3));
    assert_eq!((servers[1].program.as_str(), servers[1].line), ("ant-serial", 9));
    let name = servers[0].record;
    assert_eq!((&name.name[..5], name.ica_pages, name.state_pages), (&b"name\0"[..], 16, 0));
    assert_eq!((name.uses, name.watch_every_us, name.grant_count), (0, 0, 0));
    let serial = servers[1].record;
    assert_eq!((serial.priority, serial.cpu, serial.state_pages, serial.ica_pages), (5, 1, 1, 20));
    assert_eq!((serial.tries, serial.within_us, serial.delay_us), (5, 10_000_000, 100_000));
    assert_eq!((serial.watch_every_us, serial.watch_answer_us), (1_000_000, 500_000));
    assert_eq!((serial.uses, serial.grant_count), (1, 3));
    let grants = serial.grants.map(|grant| (grant.kind, grant.start, grant.len));
    let expected = [
        (GRANT_PORTS, 0x2f8, 8),
        (GRANT_MEMORY, 0xfed0_0000, 0x1000),
        (GRANT_INTERRUPT, 3, 0),
        (0, 0, 0),
    ];
    assert_eq!(grants[..4], expected);
}

#[test]
fn the_manifests_of_this_tree_are_right() {
    for text in [
        include_str!("../../../../user/servers/manifest.toml"),
        include_str!("../../../../tests/manifest.toml"),
    ] {
        parse(text).unwrap();
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    refused("priority = 5", "priority", 4, "expected");
    refused("priority = 5\n", "priority = 5\nprio = 5\n", 5, "unknown field `prio`");
    refused("tries = 5, within", "tries = 5, retries = 5, within", 6, "unknown field `retries`");
    refused("\"serial\"\n", "\"serial\"\nname = \"x\"\n", 9, "duplicate key");
    refused("cpu = 0", "cpu = \"0\"", 5, "invalid type: string");
    refused("cpu = 1", "cpu = -1", 11, "-1");
    refused("len = 8", "len = 8.5", 15, "invalid type");
    refused(
        "[[server]]\nname = \"serial\"",
        "[[servers]]\nname = \"serial\"",
        7,
        "unknown field `servers`",
    );
    refused("program = \"ant-serial\"\n", "", 7, "missing field `program`");
    refused(", len = 8", "", 15, "missing field `len`");
    refused("cpu = 0", "cpu = 0xffff_ffff_f", 5, "68719476735");
    refused("priority = 5", "prio = 5", 4, "the comments in /usr/lib/ant/manifest.toml");
    refused_text("", 1, "missing field `server`");
}

#[test]
fn names_are_checked() {
    refused("\"serial\"", "\"\"", 8, "cannot be a name");
    refused("\"serial\"", "\"a b\"", 8, "cannot be a name");
    refused("\"serial\"", "\"a=b\"", 8, "cannot be a name");
    refused("\"serial\"", "\"own\"", 8, "cannot be a name");
    refused("\"serial\"", "\"init\"", 8, "cannot be a name");
    refused("\"serial\"", "\"abcdefghijklmnopqrstuvwxy\"", 8, "too long: choose one of at most 24");
    assert_eq!(
        &record(&both().replace("serial\"\np", "abcdefghijklmnopqrstuvwx\"\np"), 1).name,
        b"abcdefghijklmnopqrstuvwx"
    );
    refused("\"serial\"", "\"name\"", 8, "there is a server `name` already");
    refused("\"name\"", "\"other\"", 2, "put it first");
}

#[test]
fn numbers_have_their_ranges() {
    refused("priority = 5", "priority = 8", 4, "a priority must be 0 to 7, not 8");
    refused("state_pages = 1", "state_pages = 1025", 12, "`state_pages` must be 0 to 1024");
    refused(
        "tries = 5, within_ms = 10_000, delay_ms = 100",
        "tries = 17, within_ms = 1, delay_ms = 1",
        18,
        "`tries` must be 0 to 16",
    );
    refused("delay_ms = 100", "delay_ms = 9_223_372_036_854_775_807", 18, "too long");
    refused("every_ms = 1000", "every_ms = 0", 19, "at least 1 ms");
    refused("bit = 0", "bit = 47", 17, "`bit` must be 0 to 46");
    refused("ica_pages = 20", "ica_pages = 2033", 13, "want 2049 ICA pages, and can have 2048");
    assert_eq!(record(&both().replace("ica_pages = 20", "ica_pages = 2032"), 1).ica_pages, 2032);
    // Also one that says nothing of it has some.
    let text = both().replace("ica_pages = 20", "ica_pages = 2032")
        + &NAME.replace("\"name\"", "\"more\"");
    refused_text(&text, 21, "want 2064 ICA pages");
}

#[test]
fn there_is_room_for_so_many_servers() {
    let more = |count: usize| {
        let servers = (1..count).map(|n| NAME.replace("\"name\"", &format!("\"server-{n}\"")));
        servers.fold(NAME.to_owned(), |all, one| all + &one)
    };
    assert_eq!(parse(&more(BUNDLE_SERVERS)).unwrap().len(), BUNDLE_SERVERS);
    refused_text(&more(BUNDLE_SERVERS + 1), 6 * BUNDLE_SERVERS + 2, "room for 15: leave some out");
}

#[test]
fn a_server_uses_others_that_are_there() {
    refused("[\"name\"]", "[\"disk\"]", 14, "there is no server `disk` to use");
    refused("[\"name\"]", "[\n\"name\",\n\"serial\"]", 16, "needs not name itself");
    refused("[\"name\"]", "[\"name\", \"name\"]", 14, "named twice");
    let names: Vec<_> = (0..=USES_MAX).map(|n| format!("\"server-{n}\"")).collect();
    let more = names.iter().map(|name| NAME.replace("\"name\"", name));
    let text = more
        .fold(both().replace("[\"name\"]", &format!("[{}]", names.join(", "))), |all, one| {
            all + &one
        });
    refused_text(&text, 14, "can use 8 others at most");
    // Of any order.
    let text = NAME.replace("cpu = 0\n", "cpu = 0\nuses = [\"serial\"]\n") + SERIAL;
    assert_eq!(record(&text, 0).uses, 0b10);
}

#[test]
fn a_device_has_one_server() {
    let third = |devices: &str| {
        let third = SERIAL.replace("\"serial\"", "\"third\"");
        let kept = |line: &&str| {
            !["ports", "memory", "interrupts"].iter().any(|key| line.starts_with(key))
        };
        let third: Vec<_> = third.lines().filter(kept).collect();
        both() + &third.join("\n") + "\n" + devices + "\n"
    };
    parse(&third("")).unwrap();
    for devices in [
        "ports = [{ start = 0, len = 4 }, { start = 0x2ff, len = 1 }]",
        "memory = [{ start = 0xfed0_0fff, len = 4096 }]",
        "interrupts = [{ line = 3, bit = 7 }]",
    ] {
        refused_text(&third(devices), 30, "`serial` and `third` want one device");
    }
    let many: Vec<_> = (0..=GRANTS_MAX).map(|n| format!("{{ start = {n}, len = 1 }}")).collect();
    let text = third(&format!("ports = [{}]", many.join(", ")));
    refused_text(&text, 30, "12 ranges and interrupts");
}
