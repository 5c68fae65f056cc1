//! Every call of the table, end to end: a caller with good arguments, a proxy that sees only the
//! LCA, and the caller's memory afterwards.

use super::*;

/// Bytes of memory that each argument of these callers has for itself.
const SPAN: usize = 8192;

/// A caller: registers and memory.
#[derive(Clone, Debug)]
struct Caller {
    call: &'static Call,
    args: [u64; ARGS],
    memory: Model,
}

/// What each argument is, when selected.
fn place(call: &Call, args: &[u64; ARGS], index: usize) -> ArgKind {
    match call.args.get(index) {
        Some(&ArgKind::Select { by, cases }) => {
            cases.iter().find(|case| case.0 == args[by]).unwrap().1
        }
        Some(&place) => place,
        None => ArgKind::Value,
    }
}

/// A caller of `call` with good arguments only: pointers into spans of their own, or NULL.
fn caller(call: &'static Call, numbers: [u16; ARGS], nulls: u8) -> Caller {
    let mut memory = Model::new(ARGS * SPAN);
    let mut args = numbers.map(|number| u64::from(number) % 5000);
    for place in call.args {
        if let ArgKind::Select { by, cases } = *place {
            args[by] = cases[args[by] as usize % cases.len()].0;
        }
        if let ArgKind::Vector { count, .. } = *place {
            args[count] %= 20;
        }
    }
    for index in 0..call.args.len() {
        let offset = index * SPAN;
        match place(call, &args, index) {
            ArgKind::Value | ArgKind::Select { .. } => continue,
            ArgKind::Text => {
                let len = usize::from(numbers[index]) % 1000;
                memory.put(offset + len, b"\0");
            }
            ArgKind::Vector { .. } => {
                // The first bytes of the span are the table, the segments follow.
                for n in 0..20 {
                    let len = usize::from(numbers[n % ARGS]) % (n * 50 + 1);
                    let segment = [BASE + (offset + 400 + n) as u64, len as u64];
                    memory.put(offset + 16 * n, segment.as_bytes());
                }
            }
            ArgKind::Data(data) => {
                if let Size::IndirectLen { arg } = data.size {
                    let len = u32::from(numbers[index]) % 200;
                    memory.put(arg * SPAN, &len.to_le_bytes());
                }
            }
        }
        let told = call.args.iter().any(|place| {
            matches!(place, ArgKind::Data(Data { size: Size::IndirectLen { arg }, .. }) if *arg == index)
        });
        let null = nulls >> index & 1 == 1 && !told;
        args[index] = if null { 0 } else { BASE + offset as u64 };
    }
    Caller { call, args, memory }
}

/// Bytes that data takes, given the arguments of the caller or of the request.
fn bytes_of(size: Size, args: &[u64; ARGS], memory: &Model) -> usize {
    match size {
        Size::Fixed(len) => len,
        Size::Counted { arg, unit } => args[arg] as usize * unit,
        Size::Bits { arg } => args[arg].div_ceil(64) as usize * 8,
        Size::IndirectLen { arg } => {
            u32::from_le_bytes(memory.at(args[arg], 4).try_into().unwrap()) as usize
        }
    }
}

/// The arguments of a request as values; 0 for those that point.
fn values(request: &Request) -> [u64; ARGS] {
    request.args.map(|arg| match arg {
        Argument::Value(value) => value,
        Argument::Buffer { .. } => 0,
    })
}

/// What the proxy sees is what the caller gave.
fn check_request(caller: &Caller, lca: &Lca, request: &Request) -> Result<(), TestCaseError> {
    let Caller { call, args, memory } = caller;
    let mut counts = values(request);
    for index in 0..ARGS {
        let addr = args[index];
        match place(call, args, index) {
            ArgKind::Value => {
                let Argument::Value(value) = request.args[index] else { panic!("{index}") };
                let given = if index < call.args.len() { addr } else { 0 };
                prop_assert!(value <= given, "counts are only ever lowered");
            }
            _ if addr == 0 => prop_assert_eq!(request.args[index], Argument::Value(0)),
            ArgKind::Text => {
                let text = pointed(lca, request, index);
                prop_assert_eq!(text, memory.at(addr, text.len()));
                prop_assert_eq!(text.iter().position(|&byte| byte == 0), Some(text.len() - 1));
            }
            ArgKind::Data(data) => {
                if let Size::IndirectLen { arg } = data.size {
                    counts[arg] = args[arg];
                }
                let seen = pointed(lca, request, index);
                prop_assert_eq!(seen.len(), bytes_of(data.size, &counts, memory));
                if data.direction != Direction::Out {
                    prop_assert_eq!(seen, memory.at(addr, seen.len()));
                }
            }
            ArgKind::Vector { direction, count } => {
                prop_assert_eq!(counts[count] as usize, request.relocations.len());
                if direction == Direction::In {
                    let seen: Vec<u8> = request
                        .relocations
                        .iter()
                        .flat_map(|pointer| &lca.buffer[pointer.target..][..pointer.len])
                        .copied()
                        .collect();
                    let given = gathered(caller, index, count);
                    prop_assert!(given.starts_with(&seen));
                    let all = seen.len() == given.len();
                    prop_assert!(all || seen.len() > 1000 || counts[count] == 16);
                }
            }
            ArgKind::Select { .. } => unreachable!(),
        }
    }
    Ok(())
}

/// Address of every byte of the caller's segments, in order.
fn addresses(caller: &Caller, index: usize, count: usize) -> Vec<u64> {
    let table = caller.memory.at(caller.args[index], 16 * caller.args[count] as usize);
    let words = <[[u64; 2]]>::ref_from_bytes;
    let aligned: Vec<u64> =
        table.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let segments = words(aligned.as_bytes()).unwrap();
    segments.iter().flat_map(|&[addr, len]| addr..addr + len).collect()
}

fn gathered(caller: &Caller, index: usize, count: usize) -> Vec<u8> {
    let addresses = addresses(caller, index, count);
    addresses.iter().map(|&addr| caller.memory.at(addr, 1)[0]).collect()
}

/// Executes the call as far as memory is concerned: fills everything that it may write, but leaves
/// lengths that it tells as they are.
fn execute(caller: &Caller, lca: &mut Lca, request: &Request, byte: u8) {
    let lengths: Vec<usize> = told_lengths(caller.call);
    for index in 0..ARGS {
        let writes = match place(caller.call, &caller.args, index) {
            ArgKind::Data(data) => data.direction != Direction::In && !lengths.contains(&index),
            _ => false,
        };
        if let (true, Argument::Buffer { offset, len }) = (writes, request.args[index]) {
            lca.buffer[offset..offset + len].fill(byte);
        }
    }
    if caller
        .call
        .args
        .iter()
        .any(|place| matches!(place, ArgKind::Vector { direction: Direction::Out, .. }))
    {
        for pointer in &request.relocations {
            lca.buffer[pointer.target..pointer.target + pointer.len].fill(byte);
        }
    }
}

fn told_lengths(call: &Call) -> Vec<usize> {
    let told = |place: &ArgKind| match place {
        ArgKind::Data(Data { size: Size::IndirectLen { arg }, .. }) => Some(*arg),
        _ => None,
    };
    call.args.iter().filter_map(told).collect()
}

/// What the caller's memory must be after `retval`.
fn expected(caller: &Caller, request: &Request, retval: i64, byte: u8) -> Model {
    let Caller { call, args, memory } = caller;
    let mut after = memory.clone();
    let success = !(-4095..0).contains(&retval);
    let returned = retval.max(0) as usize;
    let lengths = told_lengths(call);
    for (index, &addr) in args.iter().enumerate() {
        if addr == 0 || lengths.contains(&index) {
            continue;
        }
        match place(call, args, index) {
            ArgKind::Data(data) if data.direction != Direction::In => {
                let Argument::Buffer { len, .. } = request.args[index] else { panic!() };
                let written = match (data.filled, data.size) {
                    (OutExtent::Always, _) => len,
                    (OutExtent::Returned, Size::Counted { unit, .. }) => (returned * unit).min(len),
                    _ if success => len,
                    _ => 0,
                };
                after.put((addr - BASE) as usize, &vec![byte; written]);
            }
            ArgKind::Vector { direction: Direction::Out, count } => {
                let carried: usize = request.relocations.iter().map(|pointer| pointer.len).sum();
                let all = addresses(caller, index, count);
                for addr in all.iter().take(returned.min(carried)) {
                    after.put((addr - BASE) as usize, &[byte]);
                }
            }
            _ => {}
        }
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn arrives_and_comes_back(
        call in known_call(),
        numbers in any::<[u16; ARGS]>(),
        nulls in prop_oneof![Just(0), any::<u8>()],
        retval in prop_oneof![Just(0), (-40..0_i64), (1..100_i64), (0..4000_i64)],
        byte in any::<u8>(),
    ) {
        let caller = caller(call, numbers, nulls);
        let mut lca = lca();
        let plan = match encode(call.nr, caller.args, &caller.memory, &mut lca) {
            Ok(plan) => plan,
            Err(error) => {
                // Good arguments fail for one reason only.
                prop_assert_eq!(error, Error::TooLong);
                return Ok(());
            }
        };
        let request = request(&lca);
        prop_assert_eq!(request.nr, call.nr);
        check_request(&caller, &lca, &request)?;
        execute(&caller, &mut lca, &request, byte);
        let mut memory = caller.memory.clone();
        match plan.finish(retval, &lca, &mut memory) {
            Ok(()) => prop_assert!(memory == expected(&caller, &request, retval, byte)),
            Err(error) => {
                prop_assert_eq!(error, Error::TooLong);
                prop_assert!(memory == caller.memory);
            }
        }
    }
}

/// With little data every call of the table can be encoded: the test above does not pass because
/// everything is too long.
#[test]
fn every_call_fits() {
    for call in CALLS {
        let caller = caller(call, [8; ARGS], 0);
        let mut lca = lca();
        let plan = encode(call.nr, caller.args, &caller.memory, &mut lca);
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error:?}", call.name));
        let request = request(&lca);
        check_request(&caller, &lca, &request).unwrap();
        execute(&caller, &mut lca, &request, 0x5a);
        let mut memory = caller.memory.clone();
        plan.finish(1, &lca, &mut memory).unwrap();
        assert!(memory == expected(&caller, &request, 1, 0x5a), "{}", call.name);
    }
}
