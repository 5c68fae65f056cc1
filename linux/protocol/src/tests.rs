use super::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

#[test]
fn requests_come_back_as_they_were() {
    let requests = [
        Request::Boot(Boot {
            cpus: vec![1, 2],
            memory: 256 << 20,
            tables: Tables { processes: 400, ..Tables::USUAL },
            image: IMAGE.into(),
            init: INIT.into(),
            manifest: MANIFEST.into(),
            prefork: 2,
            allow_inject: false,
            poll: true,
            device: DeviceChoice::Com2,
        }),
        Request::Run(Run {
            cpu: Some(2),
            program: OsString::from_vec(b"/not/utf8/\xff".to_vec()),
            args: vec!["".into(), "a b".into(), OsString::from_vec(vec![0x80])],
            umask: 0o027,
        }),
        Request::End { signal: 2 },
        Request::Ps,
        Request::Status,
        Request::Log { follow: true },
        Request::Kill { pid: 7, signal: 15 },
        Request::Servers,
        Request::RestartServer { name: "serial".into() },
        Request::ReplaceServer { name: "serial".into() },
        Request::Priority { pid: 7, priority: 3 },
        Request::Move { pid: 7, cpu: 2 },
        Request::Stop,
        Request::Inject(Injection::Cpu { failure: CpuFailure::Hang, cpu: 3 }),
        Request::Inject(Injection::Process {
            failure: ProcessFailure::EndAfter,
            pid: None,
            call: 4,
        }),
    ];
    for request in requests {
        assert_eq!(decode::<Request>(&encode(&request)).unwrap(), request);
    }
}

#[test]
fn replies_come_back_as_they_were() {
    let replies = [
        Reply::Booted {
            layout: Layout { cpus: vec![1, 2, 3], memory: 1 << 28, devices: vec![] },
            notes: vec!["without COM2: this machine has none".into()],
        },
        Reply::Started { pid: 3, cpu: 2 },
        Reply::Over(ExitReason::Faulted { signal: 11, text: "page fault".into() }),
        Reply::Log(vec![LogLine { seconds: 0.25, cpu: 1, level: Level::Warn, text: "hm".into() }]),
        Reply::LogEnd,
        Reply::Failed("no".into()),
    ];
    for reply in replies {
        assert_eq!(decode::<Reply>(&encode(&reply)).unwrap(), reply);
    }
}

#[test]
fn another_revision_is_named_even_if_its_message_is_unknown() {
    let unknown = br#"{"protocol":9,"body":{"Teleport":{}}}"#;
    let error = decode::<Request>(unknown).unwrap_err();
    assert!(matches!(error, MessageError::Protocol { theirs: 9 }), "{error}");
    let error = decode::<Request>(b"hello").unwrap_err();
    assert!(matches!(error, MessageError::Malformed(_)), "{error}");
}

#[test]
fn only_three_replies_have_successors() {
    assert!(!Reply::Started { pid: 1, cpu: 1 }.is_final());
    assert!(!Reply::Processes(vec![]).is_final());
    assert!(!Reply::Log(vec![]).is_final());
    assert!(Reply::ProcessesEnd.is_final());
    assert!(Reply::LogEnd.is_final() && Reply::Done(String::new()).is_final());
}

#[test]
fn a_layout_is_described() {
    let layout = |cpus: &[u32], devices: &[&str]| Layout {
        cpus: cpus.to_vec(),
        memory: 256 << 20,
        devices: devices.iter().map(|&name| name.into()).collect(),
    };
    let words = |cpus: &[u32]| layout(cpus, &[]).to_string();
    assert_eq!(words(&[1]), "m-kernel on CPU 1; 256 MiB");
    assert_eq!(layout(&[1], &["COM2"]).to_string(), "m-kernel on CPU 1; 256 MiB; COM2");
    assert_eq!(words(&[1, 2]), "m-kernel on CPU 1, p-kernel on CPU 2; 256 MiB");
    assert_eq!(words(&[1, 2, 3]), "m-kernel on CPU 1, p-kernels on CPUs 2, 3; 256 MiB");
}

#[test]
fn tables_are_described() {
    assert_eq!(Tables::USUAL.sizes(), ant_abi::boot::TableSizes::USUAL);
    let tables = Tables { processes: 400, endpoints: 100, ica_pages: 1 << 17 };
    assert_eq!(Tables::of(&tables.sizes()), tables);
    let sizes = tables.sizes();
    assert_eq!((sizes.threads, sizes.lcas), (400, 400));
    assert_eq!(tables.to_string(), "400 processes, 100 endpoints and an ICA of 512 MiB");
}
