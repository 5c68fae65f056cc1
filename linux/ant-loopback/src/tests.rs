use ant_abi::PhysAddr;
use ant_abi::boot::{Bus, TableSizes};
use ant_abi::cpu_block::{CpuRole, CpuState};
use ant_abi::layout::{BUNDLE_SPAN, SHARED_OFFSET};
use ant_abi::lca::Lca;
use ant_abi::store::{EntryKind, StoreEntry};
use ant_dev::{
    ControlFile, CreateError, Device, DeviceRequest, Failure, LoadTarget, PartitionRequest, Release,
};
use rustix::io::Errno;
use zerocopy::{FromZeros, IntoBytes};

use super::{Ant, Loopback};

const MEMORY: u64 = 16 << 20;

fn partition(cpus: &[u32]) -> (Box<dyn ControlFile>, Ant) {
    let (device, ant) = Loopback::new(MEMORY).unwrap();
    let request = PartitionRequest {
        cpus: cpus.to_vec(),
        memory: MEMORY,
        flags: 0,
        tables: TableSizes::USUAL,
    };
    (device.create(&request).unwrap(), ant)
}

#[test]
fn a_partition_that_cannot_be_is_refused_with_its_reason() {
    let (device, _ant) = Loopback::new(MEMORY).unwrap();
    let refusal = |cpus: &[u32], memory| {
        let request =
            PartitionRequest { cpus: cpus.to_vec(), memory, flags: 0, tables: TableSizes::USUAL };
        match device.create(&request) {
            Err(CreateError::Refused(failure)) => failure,
            other => panic!("{:?}", other.map(|_| ())),
        }
    };
    assert_eq!(refusal(&[0], MEMORY), Failure::BootCpu(0));
    assert_eq!(refusal(&[1, 2, 1], MEMORY), Failure::CpuTwice(1));
    assert_eq!(refusal(&[], MEMORY), Failure::CpuCount);
    assert_eq!(refusal(&[1], 1 << 20), Failure::TooSmall(16));
    assert_eq!(refusal(&[1], MEMORY + 1), Failure::NoMemory(16));
}

#[test]
fn requests_come_out_once_and_foreign_ones_are_refused() {
    let (control, ant) = partition(&[1, 2]);
    let (first, second) = (ant.lca(1, 5), ant.lca(2, 6));
    ant.request(0, first);
    ant.request(1, StoreEntry::call(PhysAddr::new(0x1000), 0));
    ant.request(1, second);
    assert_eq!(control.get().unwrap(), Some(first));
    assert_eq!(control.get().unwrap(), Some(second));
    assert_eq!(control.get().unwrap(), None);
    assert_eq!(ant.refused(1), 1);
}

#[test]
fn results_go_back_to_their_cpu_and_releases_to_cpu_0() {
    let (control, ant) = partition(&[1, 2]);
    let lca = ant.lca(3, 9);
    let proxy = control.binder().bind(lca).unwrap();
    proxy.map().unwrap().set_retval(-7);
    proxy.ret(1).unwrap();
    assert_eq!(ant.read_lca(lca).retval, -7);
    assert_eq!((ant.returned(0), ant.returned(1)), (None, Some(lca)));
    for (why, kind) in
        [(Release::OfCall, EntryKind::Released), (Release::OfChannel, EntryKind::Closed)]
    {
        control.release(lca, why).unwrap();
        let released = Some(lca.with_kind(kind));
        assert_eq!((ant.returned(0), ant.returned(1)), (released, None));
    }
    assert!(proxy.ret(99).is_err());
}

#[test]
fn the_shared_area_shows_what_ant_writes() {
    let (control, ant) = partition(&[3, 5]);
    let shared = control.shared().unwrap();
    assert_eq!(
        shared.cpus().iter().map(|cpu_index| cpu_index.linux_cpu).collect::<Vec<_>>(),
        [3, 5]
    );
    assert_eq!(shared.state(1), Ok(CpuState::Off));
    ant.set_state(1, CpuState::Ready, CpuRole::MKernel);
    assert_eq!(shared.state(1), Ok(CpuState::Ready));
    ant.count_doorbell(1);
    assert_eq!((shared.doorbells(0), shared.doorbells(1)), (0, 1));
    assert_eq!(shared.control(1).doorbells, 1);
    ant.set_kernel_entries(1, 3);
    assert_eq!((shared.kernel_entries(0), shared.kernel_entries(1)), (0, 3));
}

#[test]
fn a_device_is_taken_once_and_ant_is_told() {
    let (control, ant) = partition(&[1]);
    let long = "a name that no device can have, for it is too long".to_owned();
    let mut request = DeviceRequest { bus: Bus::Pnp, address: "00:05".into(), name: long };
    assert_eq!(control.take_device(&request).unwrap_err().errno, Errno::NAMETOOLONG);
    request.name = "com2".into();
    assert_eq!((ant.device(), ant.has_device()), (None, false));
    let device = control.take_device(&request).unwrap();
    assert_eq!((ant.device(), ant.has_device()), (Some(device), true));
    assert!(device.bus == u32::from(Bus::Pnp) && device.name.starts_with(b"com2\0"));
    assert!(device.address.starts_with(b"00:05\0") && device.resource_count == 2);
    assert_eq!(control.take_device(&request).unwrap_err().errno, Errno::BUSY);
    control.stop().unwrap();
    assert!(!ant.has_device());
}

#[test]
fn image_and_bundle_have_their_places() {
    let (control, ant) = partition(&[1]);
    control.load(LoadTarget::Image, b"an image", 0).unwrap();
    assert!(ant.bundle().is_empty());
    control.load(LoadTarget::Bundle, b"a bundle", 0).unwrap();
    control.load(LoadTarget::Bundle, b"in parts", 8).unwrap();
    assert_eq!(ant.bundle().as_bytes(), b"a bundlein parts");
    for (target, span) in [(LoadTarget::Image, SHARED_OFFSET), (LoadTarget::Bundle, BUNDLE_SPAN)] {
        assert!(control.load(target, b"12345678", span - 8).is_ok());
        for offset in [span - 7, span, u64::MAX] {
            let error = control.load(target, b"12345678", offset).unwrap_err();
            assert_eq!(error.errno, Errno::INVAL, "{target:?} at {offset:#x}");
        }
    }
}

#[test]
fn buffer_reads_need_not_be_aligned() {
    let (control, ant) = partition(&[1]);
    let lca = ant.lca(4, 1);
    let mut page = Lca::new_zeroed();
    page.buffer[..11].copy_from_slice(b"hello world");
    ant.write_lca(lca, &page);
    let mapped = control.binder().bind(lca).unwrap().map().unwrap();
    assert_eq!(mapped.buffer(3..9), b"lo wor");
    assert_eq!(mapped.replace_buffer_word(0, 1), u64::from_ne_bytes(*b"hello wo"));
    assert_eq!(mapped.buffer(0..1), [1]);
}
