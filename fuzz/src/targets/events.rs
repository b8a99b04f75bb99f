//! The kernel side's records: how many samples they stand for and a version of Python, then each record behind its length of
//! two bytes.

use std::collections::HashMap;

use profiler::{
    bpf::StackSum,
    collect::{build_profile, event_handler::EventHandler, stacks::Stacks},
    fuzzing,
    sys::stand_in::{self, Parts},
};
use profiler_common::event::Event;

use crate::targets::{show, take};

pub fn run(mut input: &[u8]) {
    let [count, minor] = take(&mut input);
    let Some(interpreter) = fuzzing::interpreter_without_memory(u32::from(minor)) else { return };
    stand_in::replace(Parts::new());
    let (mut handler, mut stacks, mut window) = (EventHandler::default(), Stacks::default(), HashMap::new());
    while !input.is_empty() {
        let length = usize::from(u16::from_le_bytes(take(&mut input)));
        let (record, rest) = input.split_at(input.len().min(length));
        input = rest;
        // As the ring's are.
        let mut words = vec![0_u64; record.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..record.len()].copy_from_slice(record);
        let record = &bytemuck::cast_slice(&words)[..record.len()];
        let Some(event) = Event::decode(record) else { continue };
        match event {
            Event::Stack(head, frames) => {
                // The process is none, and no addresses of the kernel that runs us are asked for.
                let mut head = *head;
                (head.key.tgid, head.kernel_len) = (0, 0);
                stacks.add_record(&head, frames, Some(&interpreter));
                handler.handle(&Event::Stack(&head, frames));
                window.insert(head.key, StackSum { count: u64::from(count), ..StackSum::default() });
            }
            Event::KnownStack(head) => {
                handler.handle(&event);
                stacks.add_known(&head);
                window.insert(head.key, StackSum { count: u64::from(count), ..StackSum::default() });
            }
            Event::Code(code, lines) => stacks.define(code, lines, &interpreter),
            event => handler.handle(&event),
        }
    }
    let (profile, unnamed) = build_profile::profile(&stacks, &window, 99);
    assert!(profile.samples.len() + profile.blocked.len() + profile.preempted.len() <= window.len());
    show(profile.strings.rows());
    show(&unnamed);
}
