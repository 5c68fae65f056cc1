//! Packets through a ring.

use proptest::prelude::*;

use crate::ipc::message::KINDS;
use crate::ipc::{CallRequest, Message, Packet, Token};
use crate::test_ids::{cpu_no, endpoint_no, generation_no, priorities, slots};
use ant_abi::boot::TableSizes;
use ant_abi::ipc::Span;
use ant_abi::{CpuIndex, EndpointId, Priority, ThreadSlot};

fn message() -> impl Strategy<Value = Message> {
    (any::<[u64; 4]>(), any::<u64>(), 0..1_u64 << 60).prop_map(|(words, span, handle)| Message {
        words,
        span: Span(span),
        handle,
    })
}

fn ids() -> impl Strategy<Value = (ThreadSlot, EndpointId, Priority)> {
    let slots = slots(0..TableSizes::MOST.threads as usize);
    let endpoints = (0..TableSizes::MOST.endpoints as usize).prop_map(endpoint_no);
    (slots, endpoints, priorities())
}

fn packet() -> impl Strategy<Value = Packet> {
    (0..9_u8, ids(), any::<(u32, u32, u32)>(), message()).prop_map(
        |(kind, ids, numbers, message)| {
            let (client, endpoint, priority) = ids;
            let (sequence, generation, badge) = numbers;
            let generation = generation_no(generation);
            let request = CallRequest { endpoint, generation, badge, priority, message };
            match kind {
                0 => Packet::Call { client, sequence, request },
                1 => Packet::Reply { client, sequence, message },
                2 => Packet::Failed { client, sequence },
                3 => Packet::Bounced { client, sequence },
                4 => Packet::Cancel { client, sequence },
                5 => Packet::Cancelled { client, sequence },
                6 => Packet::Boost { client, sequence, priority },
                7 => Packet::Send(request),
                _ => Packet::Wakeup { endpoint },
            }
        },
    )
}

proptest! {
    #[test]
    fn packets_come_out_as_they_went_in(packet in packet()) {
        let words = packet.encode();
        prop_assert!(words[0] & 0x1f < KINDS);
        prop_assert_eq!(Packet::decode(&words), Some(packet));
    }

    #[test]
    fn other_kinds_are_no_packets(mut words in any::<[u64; 8]>(), kind in 10..32_u64) {
        for kind in [0, kind] {
            words[0] = words[0] & !0x1f | kind;
            prop_assert_eq!(Packet::decode(&words), None);
        }
    }

    #[test]
    fn tokens_keep_their_parts(
        client in slots(0..TableSizes::MOST.threads as usize),
        cpu in 0..CpuIndex::COUNT,
        sequence in 1..=u32::MAX,
    ) {
        let cpu = cpu_no(cpu);
        let token = Token::new(client, cpu, sequence);
        prop_assert_ne!(token.0, 0);
        prop_assert_eq!((token.client(), token.cpu(), token.sequence()), (client, cpu, sequence));
    }
}
