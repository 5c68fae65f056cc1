use std::vec::Vec;

use proptest::prelude::*;
use zerocopy::{FromZeros, IntoBytes};

use super::*;

const INIT: &[u8] = b"the program of init";
const SERVER: &[u8] = b"the program of both servers";
const HEADER: u32 = size_of::<BundleHeader>() as u32;

/// A bundle with `name`, and `serial`, which uses it.
fn header() -> BundleHeader {
    let mut header = BundleHeader::new_zeroed();
    header.magic = BUNDLE_MAGIC;
    header.revision = REVISION;
    header.size = HEADER;
    header.len = HEADER + (INIT.len() + SERVER.len()) as u32;
    header.init_offset = HEADER;
    header.init_len = INIT.len() as u32;
    header.server_count = 2;
    for (server, name) in header.servers.iter_mut().zip(["name", "serial"]) {
        server.name[..name.len()].copy_from_slice(name.as_bytes());
        server.program_offset = HEADER + INIT.len() as u32;
        server.program_len = SERVER.len() as u32;
        server.priority = 5;
        server.ica_pages = 16;
        server.tries = 5;
    }
    header.servers[0].watch_every_us = 1000;
    header.servers[0].watch_answer_us = 2000;
    header.servers[1].uses = 1;
    header.servers[1].grant_count = 1;
    header.servers[1].grants[0] =
        DeviceGrant { kind: GrantKind::Ports.into(), reserved: 0, start: 0x2f8, len: 8 };
    header.servers[1].device_count = 2;
    header.servers[1].devices[0] = device("com2", 7);
    header.servers[1].devices[1] = device("timer", INTERRUPT_BITS - 1);
    header
}

fn device(name: &str, bit: u64) -> BundleDevice {
    let mut device = BundleDevice { name: [0; DEVICE_NAME], bit };
    device.name[..name.len()].copy_from_slice(name.as_bytes());
    device
}

/// Its bytes, where a `u64` could be.
fn words(header: &BundleHeader) -> Vec<u64> {
    let bytes = [header.as_bytes(), INIT, SERVER].concat();
    let chunk = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(chunk).collect()
}

fn bytes<'a>(words: &'a [u64], header: &BundleHeader) -> &'a [u8] {
    &words.as_bytes()[..header.len as usize]
}

fn parse(change: impl FnOnce(&mut BundleHeader)) -> Result<(), BundleError> {
    let mut header = header();
    let len = header.len;
    change(&mut header);
    let words = words(&header);
    Bundle::parse(&words.as_bytes()[..len as usize]).map(drop)
}

fn refused(change: impl FnOnce(&mut BundleHeader)) -> std::string::String {
    std::string::ToString::to_string(&parse(change).unwrap_err())
}

#[test]
fn what_was_put_in_comes_out() {
    let header = header();
    let words = words(&header);
    let bundle = Bundle::parse(bytes(&words, &header)).unwrap();
    assert_eq!(bundle.init(), INIT);
    let servers: Vec<_> = bundle.servers().collect();
    assert_eq!(servers.len(), 2);
    let [name, serial] = &servers[..] else { panic!() };
    assert_eq!((name.name, name.program, name.priority), ("name", SERVER, 5));
    assert_eq!(name.watch.map(|watch| (watch.every_us, watch.answer_us)), Some((1000, 2000)));
    assert_eq!((name.uses().count(), name.grants.len()), (0, 0));
    assert_eq!((serial.name, serial.program), ("serial", SERVER));
    assert!(serial.watch.is_none() && serial.uses().eq([0]));
    assert_eq!((serial.grants.len(), serial.grants[0].start), (1, 0x2f8));
    let devices = [
        WholeDevice { name: "com2", bit: 7 },
        WholeDevice { name: "timer", bit: INTERRUPT_BITS - 1 },
    ];
    assert!(name.devices().count() == 0 && serial.devices().eq(devices));
}

#[test]
fn another_revision_is_refused_and_both_are_named() {
    let text = refused(|header| header.revision = REVISION + 3);
    assert!(text.contains(&std::format!("{}", REVISION + 3)), "{text}");
    assert!(text.contains(&std::format!("kernel of {REVISION}")), "{text}");
}

#[test]
fn a_header_out_of_bounds_is_refused() {
    assert_eq!(parse(|header| header.magic += 1), Err(BundleError::NoHeader));
    let changes: [fn(&mut BundleHeader); 7] = [
        |header| header.size += 1,
        |header| header.len += 1,
        |header| header.len -= 1,
        |header| header.server_count = 0,
        |header| header.server_count = BUNDLE_SERVERS as u32 + 1,
        |header| header.init_offset = u32::MAX,
        |header| header.init_len = u32::MAX,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(parse(change), Err(BundleError::Bounds), "change {number}");
    }
}

#[test]
fn servers_that_want_too_much_of_the_ica_are_refused() {
    let fits = |second: u32, sizes: TableSizes| {
        let mut header = header();
        header.servers[1].ica_pages = second;
        let words = words(&header);
        Bundle::parse(bytes(&words, &header)).and_then(|bundle| bundle.fits(&sizes).map(drop))
    };
    let most = tables::ica_pages_of_servers(&TableSizes::USUAL);
    assert_eq!(fits(most - 16, TableSizes::USUAL), Ok(()));
    assert_eq!(fits(most - 15, TableSizes::USUAL), Err(BundleError::IcaPages));
    assert_eq!(fits(u32::MAX, TableSizes::MOST), Err(BundleError::IcaPages));
    let larger = TableSizes { ica_pages: 8192, ..TableSizes::USUAL };
    assert_eq!(fits(most - 15, larger), Ok(()));
}

#[test]
fn a_server_that_cannot_be_is_refused() {
    type Change = (fn(&mut BundleServer), &'static str);
    let changes: [Change; 13] = [
        (|server| server.name = [0; 24], "name is none"),
        (|server| server.name[0] = b'=', "name is none"),
        (|server| server.name[2] = 0, "name is none"),
        (|server| server.name[2] = 0xff, "name is none"),
        (|server| server.name[..7].copy_from_slice(b"own\0\0\0\0"), "name is none"),
        (|server| server.name[..7].copy_from_slice(b"name\0\0\0"), "another's"),
        (|server| server.program_offset = u32::MAX, "program lies outside"),
        (|server| server.priority = PRIORITIES as u32, "priority"),
        (|server| server.state_pages = STATE_PAGES_MAX + 1, "state pages"),
        (|server| server.tries = TRIES_MAX + 1, "tries"),
        (|server| server.uses = 1 << 2, "not there"),
        (|server| server.uses = 1 << 1, "itself"),
        (|server| server.grant_count = GRANTS_MAX as u32 + 1, "too many devices"),
    ];
    for (change, text) in changes {
        let said = refused(|header| change(&mut header.servers[1]));
        assert!(said.starts_with("server 1 of the bundle: ") && said.contains(text), "{said}");
    }
    let said = refused(|header| header.servers[0].name[0] = b'g');
    assert!(said.contains("server 0") && said.contains("name service"), "{said}");
    let said = refused(|header| {
        header.servers[1].grants[0].kind = GrantKind::Interrupt.into();
        header.servers[1].grants[0].len = INTERRUPT_BITS;
    });
    assert!(said.contains("interrupt"), "{said}");
}

#[test]
fn a_whole_device_that_cannot_be_is_refused() {
    type Change = (fn(&mut BundleServer), &'static str);
    let changes: [Change; 7] = [
        (|server| server.device_count = WHOLE_DEVICES_MAX as u32 + 1, "too many whole devices"),
        (|server| server.devices[1].bit = INTERRUPT_BITS, "interrupt"),
        (|server| server.devices[1].name = [0; DEVICE_NAME], "name of a device"),
        (|server| server.devices[1].name = [b'a'; DEVICE_NAME], "name of a device"),
        (|server| server.devices[1].name[2] = b' ', "name of a device"),
        (|server| server.devices[1].name[2] = 0xff, "name of a device"),
        (|server| server.devices[1].name = server.devices[0].name, "a device twice"),
    ];
    for (change, text) in changes {
        let said = refused(|header| change(&mut header.servers[1]));
        assert!(said.starts_with("server 1 of the bundle: ") && said.contains(text), "{said}");
    }
    let said = refused(|header| {
        header.servers[0].device_count = 1;
        header.servers[0].devices[0] = device("timer", 0);
    });
    assert!(said.starts_with("server 1 of the bundle: ") && said.contains("another's"), "{said}");
    // What is not counted is not looked at.
    let uncounted = parse(|header| {
        header.servers[0].devices[0] = device("timer", 0);
        header.servers[1].devices[2] = device("com2", u64::MAX);
    });
    assert_eq!(uncounted, Ok(()));
}

#[test]
fn one_that_is_cut_off_is_refused() {
    let header = header();
    let words = words(&header);
    let whole = bytes(&words, &header);
    for len in 0..whole.len() {
        assert!(Bundle::parse(&whole[..len]).is_err(), "{len}");
    }
}

/// Memory of two extents; the image begins the first.
fn boot(bundle_phys: u64, bundle_len: u64) -> BootBlock {
    let mut boot = BootBlock::new_zeroed();
    boot.image_phys = PhysAddr::new(64 << 20);
    boot.extent_count = 2;
    boot.extents[0] = Extent { start: PhysAddr::new(64 << 20), len: 8 << 20 };
    boot.extents[1] = Extent { start: PhysAddr::new(16 << 20), len: 4 << 20 };
    boot.bundle_phys = PhysAddr::new(bundle_phys);
    boot.bundle_len = bundle_len;
    boot
}

#[test]
fn it_lies_in_one_extent_and_not_in_the_image() {
    assert_eq!(extent(&boot(68 << 20, 0)), Err(BundleError::Absent));
    for (start, len) in [(68 << 20, BUNDLE_SPAN), (16 << 20, 1), ((72 << 20) - 4096, 4096)] {
        assert_eq!(extent(&boot(start, len)), Ok(Extent { start: PhysAddr::new(start), len }));
    }
    for (start, len) in [
        (64 << 20, 1),
        ((68 << 20) - 4096, 1),
        ((68 << 20) + 1, 1),
        ((68 << 20) + 4096, BUNDLE_SPAN),
        (68 << 20, BUNDLE_SPAN + 1),
        (0, 4096),
        (72 << 20, 4096),
        (u64::MAX - 4095, 4096),
        (16 << 20, u64::MAX),
    ] {
        assert_eq!(extent(&boot(start, len)), Err(BundleError::Misplaced), "{start:#x}+{len:#x}");
    }
    let mut many = boot(68 << 20, 1);
    many.extent_count = u32::MAX;
    assert_eq!(extent(&many), Err(BundleError::Misplaced));
}

proptest! {
    /// Whatever Linux has put there, what is said of the servers lies within the bundle.
    #[test]
    fn mutated_bytes_never_lead_outside(
        mutations in prop::collection::vec((0..(HEADER + 50) as usize, any::<u8>()), 0..8),
        cut in 0..64usize,
    ) {
        let header = header();
        let mut words = words(&header);
        let all = words.as_mut_bytes();
        for (at, byte) in mutations {
            let at = at % all.len();
            all[at] = byte;
        }
        let len = (header.len as usize).saturating_sub(cut / 32 * cut);
        let bytes = &words.as_bytes()[..len];
        if let Ok(bundle) = Bundle::parse(bytes) {
            let inside = |part: &[u8]| {
                part.is_empty() || bytes.as_ptr_range().contains(&part.as_ptr())
            };
            prop_assert!(inside(bundle.init()));
            let count = bundle.servers().len();
            prop_assert!((1..=BUNDLE_SERVERS).contains(&count));
            for server in bundle.servers() {
                prop_assert!(is_name(server.name) && inside(server.program));
                prop_assert!(server.uses().all(|index| index < count));
                prop_assert!(server.grants.len() <= GRANTS_MAX);
                let mut devices = server.devices();
                let is_right = |device: WholeDevice<'_>| {
                    is_device_name(device.name) && device.bit < INTERRUPT_BITS
                };
                prop_assert!(server.devices().count() <= WHOLE_DEVICES_MAX);
                prop_assert!(devices.all(is_right));
                prop_assert!((server.priority as usize) < PRIORITIES);
            }
        }
    }
}
