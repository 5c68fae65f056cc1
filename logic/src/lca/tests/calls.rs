//! Calls one by one, one for each way an argument can point.

use super::*;

const NO_MORE: u64 = 0;

fn encoded(nr: u64, args: [u64; ARGS], memory: &Model) -> (Lca, Request, Plan) {
    let mut lca = lca();
    let plan = encode(nr, args, memory, &mut lca).unwrap();
    let request = request(&lca);
    assert_eq!(request.nr, nr);
    (lca, request, plan)
}

fn refused(nr: u64, args: [u64; ARGS], memory: &Model) -> Error {
    encode(nr, args, memory, &mut lca()).unwrap_err()
}

#[test]
fn values_go_as_they_are() {
    let (_, request, plan) = encoded(nr::LSEEK, [3, u64::MAX, 2, 77, 0, 0], &Model::new(0));
    let expected = [3, u64::MAX, 2, NO_MORE, 0, 0].map(Argument::Value);
    assert_eq!(request.args, expected, "what is not an argument does not go");
    assert!(request.relocations.is_empty());
    plan.finish(-9, &lca(), &mut Model::new(0)).unwrap();
}

#[test]
fn text_goes_with_its_nul() {
    let mut memory = Model::new(9000);
    // Across the end of a page.
    let text = b"/tmp/a path that crosses the end of the first page of the memory\0";
    let path = memory.put(10, text);
    let (lca, request, _) = encoded(nr::OPENAT, [u64::MAX - 99, path, 0o101, 0o644, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 1), text);
    assert_eq!(request.args[0], Argument::Value(u64::MAX - 99));
    assert_eq!(request.args[3], Argument::Value(0o644));
}

#[test]
fn text_is_not_read_beyond_its_page() {
    // The memory ends with the page in which the NUL is.
    let mut memory = Model::new(64 + 4096);
    let path = memory.put(64 + 4090, b"/file\0");
    let (lca, request, _) = encoded(nr::UNLINK, [path, 0, 0, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 0), b"/file\0");
    memory.put(64 + 4095, b"x");
    assert_eq!(refused(nr::UNLINK, [path, 0, 0, 0, 0, 0], &memory), Error::Fault);
}

#[test]
fn text_that_is_too_long_is_refused() {
    let mut memory = Model::new(9000);
    let path = memory.put(0, &[b'a'; LCA_BUFFER]);
    assert_eq!(refused(nr::CHDIR, [path, 0, 0, 0, 0, 0], &memory), Error::TooLong);
    memory.put(LCA_BUFFER - 1, b"\0");
    let (_, request, _) = encoded(nr::CHDIR, [path, 0, 0, 0, 0, 0], &memory);
    assert_eq!(request.args[0], Argument::Buffer { offset: 0, len: LCA_BUFFER });
    assert_eq!(refused(nr::RENAME, [path, path, 0, 0, 0, 0], &memory), Error::TooLong);
}

#[test]
fn null_stays_null() {
    let (_, request, plan) = encoded(nr::UTIMENSAT, [3, 0, 0, 0, 0, 0], &Model::new(0));
    assert_eq!(request.args, [3, 0, 0, 0, 0, 0].map(Argument::Value));
    plan.finish(0, &lca(), &mut Model::new(0)).unwrap();
}

#[test]
fn write_takes_what_fits() {
    let memory = Model::new(9000);
    let (lca, request, plan) = encoded(nr::WRITE, [1, BASE, 100, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 1), memory.at(BASE, 100));
    assert_eq!(request.args[2], Argument::Value(100));
    plan.finish(100, &lca, &mut Model::new(0)).unwrap();

    let (lca, request, _) = encoded(nr::WRITE, [1, BASE, 9000, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 1), memory.at(BASE, LCA_BUFFER));
    assert_eq!(request.args[2], Argument::Value(LCA_BUFFER as u64));

    let (_, request, _) = encoded(nr::WRITE, [1, BASE, 0, 0, 0, 0], &memory);
    assert_eq!(request.args[1], Argument::Buffer { offset: 0, len: 0 });
    assert_eq!(refused(nr::WRITE, [1, BASE + 8999, 2, 0, 0, 0], &memory), Error::Fault);
}

#[test]
fn read_brings_back_what_was_read() {
    let mut memory = Model::new(9000);
    let before = memory.clone();
    let (mut lca, request, plan) = encoded(nr::READ, [0, BASE + 5, 8000, 0, 0, 0], &memory);
    assert_eq!(request.args[2], Argument::Value(LCA_BUFFER as u64));
    fill(&mut lca, &request, 1, b"hello, world");
    plan.finish(-4, &lca, &mut memory).unwrap();
    assert_eq!(memory, before, "a failed read changes nothing");
    plan.finish(5, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 12), [&before.bytes[..5], b"hello", &before.bytes[10..12]].concat());
    // A proxy that says it read more than there was room for.
    plan.finish(i64::MAX, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE + 5, LCA_BUFFER), &lca.buffer);
    assert_eq!(plan.finish(5, &lca, &mut Model::new(9)), Err(Error::Fault));
}

#[test]
fn structures_come_back_on_success_only() {
    let mut memory = Model::new(500);
    let before = memory.clone();
    let (mut lca, request, plan) = encoded(nr::FSTAT, [3, BASE + 8, 0, 0, 0, 0], &memory);
    fill(&mut lca, &request, 1, &[7; 144]);
    plan.finish(-9, &lca, &mut memory).unwrap();
    assert_eq!(memory, before);
    plan.finish(0, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE + 8, 144), [7; 144]);
    assert_eq!(memory.at(BASE + 152, 8), before.at(BASE + 152, 8));
}

#[test]
fn errors_are_the_last_4095_numbers() {
    let encoded = |memory: &Model| encoded(nr::TIMES, [BASE, 0, 0, 0, 0, 0], memory);
    for (retval, success) in [(-1, false), (-4095, false), (-4096, true), (i64::MIN, true)] {
        let mut memory = Model::new(32);
        let (lca, _, plan) = encoded(&memory);
        plan.finish(retval, &lca, &mut memory).unwrap();
        assert_eq!(memory.at(BASE, 32) == [0xee; 32], success, "{retval}");
    }
}

#[test]
fn poll_changes_what_it_was_given() {
    let mut memory = Model::new(500);
    let given = memory.at(BASE, 24).to_vec();
    let (mut lca, request, plan) = encoded(nr::POLL, [BASE, 3, 0, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 0), given);
    fill(&mut lca, &request, 0, &[9; 24]);
    plan.finish(1, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 24), [9; 24], "one is ready, all come back");
    assert_eq!(refused(nr::POLL, [BASE, 449, 0, 0, 0, 0], &Model::new(9000)), Error::TooLong);
}

#[test]
fn what_is_left_of_a_sleep_comes_back() {
    let mut memory = Model::new(64);
    let (mut lca, request, plan) = encoded(nr::NANOSLEEP, [BASE, BASE + 16, 0, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 0), memory.at(BASE, 16));
    let before = memory.clone();
    plan.finish(0, &lca, &mut memory).unwrap();
    assert_eq!(memory, before);
    fill(&mut lca, &request, 1, &[3; 16]);
    plan.finish(-4, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE + 16, 16), [3; 16]);
}

#[test]
fn groups_come_back_by_fours() {
    let mut memory = Model::new(64);
    let before = memory.clone();
    let (mut lca, request, plan) = encoded(nr::GETGROUPS, [5, BASE, 0, 0, 0, 0], &memory);
    fill(&mut lca, &request, 1, &[1; 20]);
    plan.finish(2, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 8), [1; 8]);
    assert_eq!(memory.at(BASE + 8, 56), before.at(BASE + 8, 56));
}

#[test]
fn room_may_be_less_if_it_is_enough() {
    let mut memory = Model::new(9000);
    let before = memory.clone();
    let (mut lca, request, plan) = encoded(nr::GETCWD, [BASE, 8192, 0, 0, 0, 0], &memory);
    assert_eq!(request.args[1], Argument::Value(LCA_BUFFER as u64));
    fill(&mut lca, &request, 0, b"/home/user\0");
    let mut after = memory.clone();
    plan.finish(11, &lca, &mut after).unwrap();
    assert_eq!(after.at(BASE, 11), b"/home/user\0");
    assert_eq!(plan.finish(-34, &lca, &mut memory), Err(Error::TooLong));
    assert_eq!(plan.finish(LCA_BUFFER as i64, &lca, &mut memory), Err(Error::TooLong));
    assert_eq!(memory, before);
    // The caller's own room too small: that is the caller's to see.
    let (lca, _, plan) = encoded(nr::GETCWD, [BASE, 2, 0, 0, 0, 0], &memory);
    assert_eq!(plan.finish(-34, &lca, &mut memory), Ok(()));
}

#[test]
fn names_leave_room_for_results() {
    let mut memory = Model::new(9000);
    let link = memory.put(0, b"link\0");
    let (mut lca, request, plan) =
        encoded(nr::READLINK, [link, BASE + 100, 4096, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 0), b"link\0");
    assert_eq!(request.args[2], Argument::Value(LCA_BUFFER as u64 - 8));
    fill(&mut lca, &request, 1, b"target");
    plan.finish(6, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE + 100, 6), b"target");
}

#[test]
fn told_lengths_say_what_comes_back() {
    let mut memory = Model::new(300);
    let length = memory.put(200, &16_u32.to_le_bytes());
    let before = memory.clone();
    let args = [4, BASE, length, 0, 0, 0];
    let (mut lca, request, plan) = encoded(nr::ACCEPT, args, &memory);
    assert_eq!(pointed(&lca, &request, 1).len(), 16);
    assert_eq!(pointed(&lca, &request, 2), 16_u32.to_le_bytes());
    fill(&mut lca, &request, 1, &[8; 16]);
    fill(&mut lca, &request, 2, &6_u32.to_le_bytes());
    plan.finish(5, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 6), [8; 6]);
    assert_eq!(memory.at(BASE + 6, 194), before.at(BASE + 6, 194));
    assert_eq!(memory.at(length, 4), 6_u32.to_le_bytes());
    // More than there was room for.
    fill(&mut lca, &request, 2, &110_u32.to_le_bytes());
    plan.finish(5, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 16), [8; 16]);
    assert_eq!(memory.at(BASE + 16, 184), before.at(BASE + 16, 184));
    assert_eq!(refused(nr::ACCEPT, [4, BASE, 0, 0, 0, 0], &memory), Error::Fault);
}

/// Puts a `struct iovec` array at `offset`; its address.
fn vector(memory: &mut Model, offset: usize, segments: &[(u64, u64)]) -> u64 {
    let words: Vec<u64> = segments.iter().flat_map(|&(addr, len)| [addr, len]).collect();
    memory.put(offset, words.as_bytes())
}

/// What the segments of a request hold, in order, as Linux would see them.
fn segments(lca: &Lca, request: &Request) -> Vec<Vec<u8>> {
    let table = pointed(lca, request, 1);
    let pointers = &request.relocations;
    assert_eq!(table.len(), 16 * pointers.len());
    assert_eq!(request.args[2], Argument::Value(pointers.len() as u64));
    let Argument::Buffer { offset, .. } = request.args[1] else { panic!() };
    pointers
        .iter()
        .enumerate()
        .map(|(n, pointer)| {
            assert_eq!(pointer.at, offset + 16 * n);
            let len = <[u8; 8]>::try_from(&table[16 * n + 8..16 * n + 16]).unwrap();
            assert_eq!(pointer.len as u64, u64::from_le_bytes(len));
            lca.buffer[pointer.target..pointer.target + pointer.len].to_vec()
        })
        .collect()
}

#[test]
fn segments_are_gathered() {
    let mut memory = Model::new(9000);
    let parts = [(BASE + 1000, 10), (BASE + 2000, 0), (BASE + 3000, 4), (0, 0)];
    let at = vector(&mut memory, 0, &parts);
    let (lca, request, _) = encoded(nr::WRITEV, [1, at, 4, 0, 0, 0], &memory);
    let expected = [memory.at(BASE + 1000, 10).to_vec(), memory.at(BASE + 3000, 4).to_vec()];
    assert_eq!(segments(&lca, &request), expected);
    assert_eq!(refused(nr::WRITEV, [1, at, 1025, 0, 0, 0], &memory), Error::Invalid);

    let (_, request, _) = encoded(nr::WRITEV, [1, at, 0, 0, 0, 0], &memory);
    assert_eq!(request.args[1..3], [Argument::Value(0); 2]);
}

#[test]
fn segments_are_shortened() {
    let mut memory = Model::new(9000);
    let at = vector(&mut memory, 0, &[(BASE + 1000, 2999), (BASE + 5000, 3000), (BASE, 1)]);
    let (lca, request, _) = encoded(nr::WRITEV, [1, at, 3, 0, 0, 0], &memory);
    // Each begins at a multiple of 8.
    let left = LCA_BUFFER - 3000 - 32;
    let expected = [memory.at(BASE + 1000, 2999).to_vec(), memory.at(BASE + 5000, left).to_vec()];
    assert_eq!(segments(&lca, &request), expected);

    let many = vec![(BASE + 1000, 1); RELOCATIONS + 5];
    let at = vector(&mut memory, 0, &many);
    let args = [1, at, many.len() as u64, 0, 0, 0];
    let (lca, request, _) = encoded(nr::WRITEV, args, &memory);
    assert_eq!(segments(&lca, &request).len(), RELOCATIONS);

    let at = vector(&mut memory, 0, &[(BASE, u64::MAX)]);
    let (lca, request, _) = encoded(nr::PREADV, [1, at, 1, 77, 0, 0], &memory);
    assert_eq!(segments(&lca, &request)[0].len(), LCA_BUFFER - 16);
    assert_eq!(request.args[3], Argument::Value(77));
}

#[test]
fn segments_are_scattered_to() {
    let mut memory = Model::new(9000);
    let at = vector(&mut memory, 0, &[(BASE + 1000, 4), (BASE + 2000, 0), (BASE + 3000, 8)]);
    let (mut lca, request, plan) = encoded(nr::READV, [1, at, 3, 0, 0, 0], &memory);
    for (pointer, fill) in request.relocations.iter().zip([b'a', b'b']) {
        lca.buffer[pointer.target..pointer.target + pointer.len].fill(fill);
    }
    let before = memory.clone();
    plan.finish(7, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE + 1000, 4), b"aaaa");
    assert_eq!(memory.at(BASE + 3000, 3), b"bbb");
    assert_eq!(memory.at(BASE + 3003, 5), before.at(BASE + 3003, 5));
    let mut memory = before.clone();
    plan.finish(0, &lca, &mut memory).unwrap();
    assert_eq!(memory, before);
}

#[test]
fn commands_select_what_their_argument_is() {
    let mut memory = Model::new(500);
    let (_, request, _) = encoded(nr::FCNTL, [3, 3, BASE, 0, 0, 0], &memory);
    assert_eq!(request.args[2], Argument::Value(BASE), "F_GETFL looks at no memory");
    let (lca, request, _) = encoded(nr::FCNTL, [3, 6, BASE, 0, 0, 0], &memory);
    assert_eq!(pointed(&lca, &request, 2), memory.at(BASE, 32));
    let (mut lca, request, plan) = encoded(nr::IOCTL, [0, 0x5413, BASE, 0, 0, 0], &memory);
    fill(&mut lca, &request, 2, &[2; 8]);
    plan.finish(0, &lca, &mut memory).unwrap();
    assert_eq!(memory.at(BASE, 8), [2; 8]);
    assert_eq!(refused(nr::FCNTL, [3, 8, 1, 0, 0, 0], &memory), Error::NoSystemCall);
    assert_eq!(refused(nr::IOCTL, [3, 0x4112, BASE, 0, 0, 0], &memory), Error::NoSystemCall);
    assert_eq!(refused(nr::IOCTL, [3, 0x4112, 0, 0, 0, 0], &memory), Error::NoSystemCall);
}

#[test]
fn sets_are_as_long_as_their_numbers_need() {
    let memory = Model::new(500);
    let args = [65, BASE, 0, BASE + 100, BASE + 200, 0];
    let (lca, request, _) = encoded(nr::SELECT, args, &memory);
    assert_eq!(pointed(&lca, &request, 1), memory.at(BASE, 16));
    assert_eq!(request.args[2], Argument::Value(0));
    assert_eq!(pointed(&lca, &request, 4), memory.at(BASE + 200, 16));
    assert_eq!(refused(nr::SELECT, [u64::MAX, BASE, 0, 0, 0, 0], &memory), Error::TooLong);
}

#[test]
fn messages_are_not_cut() {
    let memory = Model::new(9000);
    let args = [4, BASE, LCA_BUFFER as u64 + 1, 0, 0, 0];
    assert_eq!(refused(nr::SENDTO, args, &memory), Error::TooLong);
    assert_eq!(refused(nr::SENDTO, [4, BASE, u64::MAX, 0, 0, 0], &memory), Error::TooLong);
}

#[test]
fn unknown_and_local_calls_are_refused() {
    let memory = Model::new(100);
    for (nr, _) in crate::calls::NOT_DELEGATED {
        assert_eq!(refused(*nr, [BASE; 6], &memory), Error::NoSystemCall);
    }
    for nr in [511, 512, u64::MAX, 1 << 32] {
        assert_eq!(refused(nr, [BASE; 6], &memory), Error::NoSystemCall);
    }
}

#[test]
fn builder_fills_everything_but_what_is_others() {
    let mut lca = lca();
    (lca.cid, lca.cflag) = (3, CFLAG_CONTINUE);
    lca.stamps[2].tsc = 9;
    let mut builder = Builder::new(&mut lca, nr::OPENAT);
    builder.value(5);
    assert_eq!(builder.input(b"name\0"), Ok(0));
    builder.value(6).value(7);
    assert_eq!(builder.output(100), Ok(8));
    assert_eq!(builder.output(LCA_BUFFER), Err(Error::TooLong));
    builder.finish();
    let request = request(&lca);
    assert_eq!((request.nr, request.cid, request.flags), (nr::OPENAT, 3, CFLAG_CONTINUE));
    assert_eq!(request.args[1], Argument::Buffer { offset: 0, len: 5 });
    assert_eq!(request.args[4], Argument::Buffer { offset: 8, len: 100 });
    assert_eq!(request.args[5], Argument::Value(0));
    assert_eq!((lca.retval, lca.stamps[2].tsc), (0, 9));
}

#[test]
fn an_end_is_not_a_call() {
    let mut lca = lca();
    let mut builder = Builder::new(&mut lca, SYSCALL_EXIT);
    builder.value(ExitKind::Faulted.into()).value(11);
    builder.input("address 0x0".as_bytes()).unwrap();
    builder.finish();
    let expected = End { kind: ExitKind::Faulted, number: 11, text: 0..11 };
    assert_eq!(decode(&head(&lca)), Ok(Decoded::End(expected)));
    lca.cflag = CFLAG_TRACE;
    assert!(decode(&head(&lca)).is_ok());
    lca.cflag = CFLAG_CONTINUE;
    assert_eq!(decode(&head(&lca)), Err(DecodeError::Flags));

    let mut builder = Builder::new(&mut lca, SYSCALL_EXIT);
    builder.value(0).value(1);
    builder.finish();
    lca.cflag = 0;
    let expected = End { kind: ExitKind::Exited, number: 1, text: 0..0 };
    assert_eq!(decode(&head(&lca)), Ok(Decoded::End(expected)));
    lca.args[0].value = 4;
    assert_eq!(decode(&head(&lca)), Err(DecodeError::EndKind));
}
