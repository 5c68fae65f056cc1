//! Whatever is in an LCA: no panic, and nothing that reaches outside the buffer.

use super::*;

/// That nothing in it reaches outside.
fn stays_inside(decoded: &Decoded) -> bool {
    let inside = |offset: usize, len: usize| {
        offset <= LCA_BUFFER && len <= LCA_BUFFER && offset + len <= LCA_BUFFER
    };
    match decoded {
        Decoded::Call(request) => {
            let args = request.args.iter().all(|arg| match *arg {
                Argument::Value(_) => true,
                Argument::Buffer { offset, len } => inside(offset, len),
            });
            let pointers = request.relocations.iter().all(|pointer| {
                pointer.at % 8 == 0 && inside(pointer.at, 8) && inside(pointer.target, pointer.len)
            });
            args && pointers && request.nr != SYSCALL_EXIT
        }
        Decoded::End(end) => inside(end.text.start, end.text.len()),
    }
}

/// A call with everything in it.
fn full() -> Lca {
    let mut lca = lca();
    let mut builder = Builder::new(&mut lca, nr::PWRITEV2);
    builder.value(1);
    builder.output(32).unwrap();
    builder.value(2).value(0);
    builder.input(b"abc").unwrap();
    builder.finish();
    lca.relocation_count = 2;
    lca.relocations[0].at = 0;
    lca.relocations[1].at = 16;
    lca.relocations[1].target = LCA_BUFFER as u16;
    lca
}

#[test]
fn each_thing_that_is_wrong_is_seen() {
    let wrong = |change: fn(&mut Lca)| {
        let mut lca = full();
        change(&mut lca);
        decode(&head(&lca)).unwrap_err()
    };
    assert!(decode(&head(&full())).is_ok());
    assert_eq!(wrong(|lca| lca.reserved = 1), DecodeError::Reserved);
    assert_eq!(wrong(|lca| lca.reserved_tail[11] = 1), DecodeError::Reserved);
    assert_eq!(wrong(|lca| lca.args[5].reserved[2] = 1), DecodeError::Reserved);
    assert_eq!(wrong(|lca| lca.cflag = 4), DecodeError::Flags);
    assert_eq!(wrong(|lca| lca.args[3].kind = 3), DecodeError::Kind(3));
    assert_eq!(wrong(|lca| lca.args[0].len = 1), DecodeError::Kind(0));
    assert_eq!(wrong(|lca| lca.args[0].kind = ARG_LOAN), DecodeError::Loan(0));
    assert_eq!(wrong(|lca| lca.args[1].len = LCA_BUFFER as u32 + 1), DecodeError::Bounds(1));
    assert_eq!(wrong(|lca| lca.args[1].value = LCA_BUFFER as u64 - 31), DecodeError::Bounds(1));
    assert_eq!(wrong(|lca| lca.args[1].value = u64::MAX - 3), DecodeError::Bounds(1));
    assert_eq!(wrong(|lca| lca.relocation_count = 17), DecodeError::RelocationCount);
    assert_eq!(wrong(|lca| lca.relocation_count = u32::MAX), DecodeError::RelocationCount);
    assert_eq!(wrong(|lca| lca.relocations[1].at = 12), DecodeError::Relocation(1));
    assert_eq!(wrong(|lca| lca.relocations[1].at = 0), DecodeError::Relocation(1));
    assert_eq!(wrong(|lca| lca.relocations[1].len = 1), DecodeError::Relocation(1));
    assert_eq!(wrong(|lca| lca.relocations[0].len = u32::MAX), DecodeError::Relocation(0));
    assert_eq!(wrong(|lca| lca.relocations[0].target = u16::MAX), DecodeError::Relocation(0));
    assert_eq!(wrong(|lca| lca.relocations[0].at = LCA_BUFFER as u16), DecodeError::Relocation(0));
    assert_eq!(DecodeError::Loan(0).to_error(), Error::NoSystemCall);
    assert_eq!(DecodeError::Flags.to_error(), Error::Invalid);
}

#[test]
fn the_last_pointer_of_the_buffer_is_inside() {
    let mut lca = full();
    lca.relocations[0].at = LCA_BUFFER as u16 - 8;
    assert!(decode(&head(&lca)).is_ok());
}

/// Numbers near those that matter.
fn number() -> impl Strategy<Value = u64> {
    let edge = LCA_BUFFER as u64;
    prop_oneof![
        0..20_u64,
        edge - 20..edge + 20,
        Just(u64::MAX),
        Just(u32::MAX.into()),
        any::<u64>()
    ]
}

/// Any bytes, made from one number: a strategy for each byte takes too long.
fn noise(len: usize) -> impl Strategy<Value = Vec<u8>> {
    any::<u64>().prop_map(move |seed| {
        let step =
            |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        let states = core::iter::successors(Some(seed | 1), step);
        states.map(|state| (state >> 56) as u8).take(len).collect()
    })
}

proptest! {
    #[test]
    fn any_page(page in noise(4096)) {
        let head = page.first_chunk().unwrap();
        if let Ok(decoded) = decode(head) {
            prop_assert!(stays_inside(&decoded));
        }
    }

    /// A good call or end with some fields set to anything.
    #[test]
    fn nearly_good(
        is_end in any::<bool>(),
        args in prop::collection::vec((0..ARGS, 0..3_u8, number(), number()), 0..4),
        count in prop_oneof![Just(2), number()],
        pointers in prop::collection::vec((0..RELOCATIONS, number(), number(), number()), 0..4),
        bytes in prop::collection::vec((0..LCA_HEADER, any::<u8>()), 0..2),
    ) {
        let mut lca = full();
        if is_end {
            lca.syscallno = SYSCALL_EXIT;
        }
        lca.relocation_count = count as u32;
        for (index, kind, len, value) in args {
            lca.args[index].kind = kind;
            lca.args[index].len = len as u32;
            lca.args[index].value = value;
        }
        for (index, at, target, len) in pointers {
            let relocation = &mut lca.relocations[index];
            (relocation.at, relocation.target, relocation.len) = (at as u16, target as u16, len as u32);
        }
        let mut head = head(&lca);
        for (at, byte) in bytes {
            head[at] = byte;
        }
        if let Ok(decoded) = decode(&head) {
            prop_assert!(stays_inside(&decoded));
        }
    }

    /// Encoding any registers over any memory does not panic, nor does finishing with anything.
    #[test]
    fn any_registers(
        call in known_call(),
        args in prop::array::uniform6(prop_oneof![
            number(),
            (0..9000_u64).prop_map(|offset| BASE + offset),
        ]),
        bytes in noise(9000),
        retval in prop_oneof![(-200..200_i64), any::<i64>()],
        after in any::<u8>(),
    ) {
        let mut memory = Model { bytes };
        let mut lca = lca();
        if let Ok(plan) = encode(call.nr, args, &memory, &mut lca) {
            prop_assert!(stays_inside(&decode(&head(&lca)).unwrap()));
            lca.buffer.fill(after);
            let _ = plan.finish(retval, &lca, &mut memory);
        }
    }
}
