//! Copying between a mapping and the guest's memory.
//!
//! On the mapping's side every access is volatile: the compiler neither makes a bulk
//! instruction of them, which would trap, nor expects to find the same bytes twice.

#![allow(unsafe_code)]

/// What is copied at a time: as wide as a register, and aligned on the mapping's side.
#[cfg(target_arch = "wasm32")]
type Wide = core::arch::wasm32::v128;
#[cfg(not(target_arch = "wasm32"))]
type Wide = u64;

const WIDTH: usize = size_of::<Wide>();

/// Fills the buffer from `start`, which must be the address of so many bytes of a mapping.
pub(super) fn read(start: *const u8, buffer: &mut [u8]) {
    // SAFETY: both ranges are as long as the buffer, and disjoint: a mapping lies above the
    // memory that the buffer is in. Every guest that has mappings has wide registers, which
    // the host tries out.
    unsafe { read_wide(start, buffer.as_mut_ptr(), buffer.len()) }
}

/// Writes the data to `start`, which must be the address of so many bytes of a mapping.
pub(super) fn write(start: *mut u8, data: &[u8]) {
    // SAFETY: as for `read`.
    unsafe { write_wide(data.as_ptr(), start, data.len()) }
}

/// How many bytes come before an aligned one.
fn unaligned(address: *const u8, length: usize) -> usize {
    address.align_offset(WIDTH).min(length)
}

/// How many wide accesses make one turn of a loop. A guest that can be interrupted looks
/// at every turn whether it is, which takes as long as copying some of them.
const TURN: usize = 32;

/// How many of them are under way at once, in registers.
const AT_ONCE: usize = 8;

/// How many make one turn of the loop for what is left.
const SHORT_TURN: usize = 4;

/// # Safety
///
/// `from` is in a mapping; both are as long as `length`.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
unsafe fn read_wide(from: *const u8, to: *mut u8, length: usize) {
    let head = unaligned(from, length);
    let wide = (length - head) / WIDTH;
    // SAFETY: all offsets are below the length, and the wide loads are aligned.
    unsafe {
        read_bytes(from, to, head);
        let mut from = from.add(head).cast::<Wide>();
        let mut to = to.add(head).cast::<Wide>();
        let mut left = wide;
        // The pointers move, so that the places within a turn are part of the instructions.
        while left >= TURN {
            for part in (0..TURN).step_by(AT_ONCE) {
                read_some::<AT_ONCE>(from.add(part), to.add(part));
            }
            (from, to, left) = (from.add(TURN), to.add(TURN), left - TURN);
        }
        while left >= SHORT_TURN {
            read_some::<SHORT_TURN>(from, to);
            (from, to, left) = (from.add(SHORT_TURN), to.add(SHORT_TURN), left - SHORT_TURN);
        }
        while left > 0 {
            read_some::<1>(from, to);
            (from, to, left) = (from.add(1), to.add(1), left - 1);
        }
        let tail = length - head - wide * WIDTH;
        read_bytes(from.cast::<u8>(), to.cast::<u8>(), tail);
    }
}

/// # Safety
///
/// As [`read_wide`], for so many, and `from` is aligned.
#[inline]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
unsafe fn read_some<const COUNT: usize>(from: *const Wide, to: *mut Wide) {
    // SAFETY: as the caller says.
    unsafe {
        let read: [Wide; COUNT] = std::array::from_fn(|index| from.add(index).read_volatile());
        for (index, wide) in read.into_iter().enumerate() {
            to.add(index).write_unaligned(wide);
        }
    }
}

/// # Safety
///
/// As [`read_wide`].
unsafe fn read_bytes(from: *const u8, to: *mut u8, length: usize) {
    for at in 0..length {
        // SAFETY: as the caller says.
        unsafe { to.add(at).write(from.add(at).read_volatile()) };
    }
}

/// # Safety
///
/// `to` is in a mapping; both are as long as `length`.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
unsafe fn write_wide(from: *const u8, to: *mut u8, length: usize) {
    let head = unaligned(to, length);
    let wide = (length - head) / WIDTH;
    // SAFETY: all offsets are below the length, and the wide stores are aligned.
    unsafe {
        write_bytes(from, to, head);
        let mut from = from.add(head).cast::<Wide>();
        let mut to = to.add(head).cast::<Wide>();
        let mut left = wide;
        // The pointers move, so that the places within a turn are part of the instructions.
        while left >= TURN {
            for part in (0..TURN).step_by(AT_ONCE) {
                write_some::<AT_ONCE>(from.add(part), to.add(part));
            }
            (from, to, left) = (from.add(TURN), to.add(TURN), left - TURN);
        }
        while left >= SHORT_TURN {
            write_some::<SHORT_TURN>(from, to);
            (from, to, left) = (from.add(SHORT_TURN), to.add(SHORT_TURN), left - SHORT_TURN);
        }
        while left > 0 {
            write_some::<1>(from, to);
            (from, to, left) = (from.add(1), to.add(1), left - 1);
        }
        let tail = length - head - wide * WIDTH;
        write_bytes(from.cast::<u8>(), to.cast::<u8>(), tail);
    }
}

/// # Safety
///
/// As [`write_wide`], for so many, and `to` is aligned.
#[inline]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
unsafe fn write_some<const COUNT: usize>(from: *const Wide, to: *mut Wide) {
    // SAFETY: as the caller says.
    unsafe {
        let read: [Wide; COUNT] = std::array::from_fn(|index| from.add(index).read_unaligned());
        for (index, wide) in read.into_iter().enumerate() {
            to.add(index).write_volatile(wide);
        }
    }
}

/// # Safety
///
/// As [`write_wide`].
unsafe fn write_bytes(from: *const u8, to: *mut u8, length: usize) {
    for at in 0..length {
        // SAFETY: as the caller says.
        unsafe { to.add(at).write_volatile(from.add(at).read()) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_alignment_and_length_copies_exactly() {
        let mapping: Vec<u8> = (0..700).map(|at| (at * 7 + at / 256) as u8).collect();
        for from in 0..20 {
            for to in 0..20 {
                for length in (0..70).chain([127, 128, 129, 255, 256, 257, 511, 512, 600]) {
                    let mut buffer = [0xEE; 700];
                    let part = &mut buffer[to..to + length];
                    super::read(mapping[from..].as_ptr(), part);
                    assert_eq!(buffer[to..to + length], mapping[from..from + length]);
                    assert!(buffer[..to].iter().all(|&byte| byte == 0xEE));
                    assert!(buffer[to + length..].iter().all(|&byte| byte == 0xEE));

                    let mut target = [0xEE; 700];
                    super::write(target[to..].as_mut_ptr(), &mapping[from..from + length]);
                    assert_eq!(target[to..to + length], mapping[from..from + length]);
                    assert!(target[..to].iter().all(|&byte| byte == 0xEE));
                    assert!(target[to + length..].iter().all(|&byte| byte == 0xEE));
                }
            }
        }
    }
}
