//! The functions that are appended.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};
use wasmparser::FuncType;

/// The bytes of one vector.
const WIDE: u64 = 16;

/// So many bytes are copied in one turn of the loop: an engine that can interrupt guests looks
/// whether it should in each.
const STEP: u64 = 512;

/// The parameters of both functions.
const TO: u32 = 0;
const FROM: u32 = 1;
const VALUE: u32 = 1;
const LENGTH: u32 = 2;

fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}

/// Pushes whether an address is in the guest's own memory.
fn is_own(code: &mut InstructionSink<'_>, address: u32) {
    code.local_get(address).i32_const(16).i32_shr_u();
    code.memory_size(0).i32_lt_u();
}

/// Repeats `turn`, which does `step` bytes, while there are as many.
fn repeat(code: &mut InstructionSink<'_>, step: u64, turn: impl FnOnce(&mut InstructionSink<'_>)) {
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(LENGTH).i32_const(step as i32).i32_lt_u();
    code.br_if(1);
    turn(code);
    code.local_get(LENGTH).i32_const(step as i32).i32_sub();
    code.local_set(LENGTH).br(0).end().end();
}

fn advance(code: &mut InstructionSink<'_>, address: u32, step: u64) {
    code.local_get(address).i32_const(step as i32).i32_add();
    code.local_set(address);
}

/// `memory.copy`, for all memory.
pub fn copy() -> Function {
    let vectors = 3..7;
    let mut function = Function::new([(4, ValType::V128)]);
    let mut sink = function.instructions();
    let code = &mut sink;
    is_own(code, TO);
    is_own(code, FROM);
    code.i32_and().if_(BlockType::Empty);
    code.local_get(TO).local_get(FROM).local_get(LENGTH);
    code.memory_copy(0, 0).return_().end();

    // From the last byte on, where the first ones would overwrite what is still to be read.
    code.local_get(TO).local_get(FROM).i32_sub();
    code.local_get(LENGTH).i32_lt_u().if_(BlockType::Empty);
    repeat(code, WIDE, |code| {
        for address in [TO, FROM] {
            code.local_get(address).local_get(LENGTH).i32_add();
            code.i32_const(WIDE as i32).i32_sub();
        }
        code.v128_load(at(0)).v128_store(at(0));
    });
    repeat(code, 1, |code| {
        for address in [TO, FROM] {
            code.local_get(address).local_get(LENGTH).i32_add();
            code.i32_const(1).i32_sub();
        }
        code.i32_load8_u(at(0)).i32_store8(at(0));
    });
    code.return_().end();

    repeat(code, STEP, |code| {
        for start in (0..STEP).step_by(4 * WIDE as usize) {
            for (vector, offset) in vectors.clone().zip((start..).step_by(WIDE as usize)) {
                code.local_get(FROM).v128_load(at(offset)).local_set(vector);
            }
            for (vector, offset) in vectors.clone().zip((start..).step_by(WIDE as usize)) {
                code.local_get(TO).local_get(vector).v128_store(at(offset));
            }
        }
        advance(code, TO, STEP);
        advance(code, FROM, STEP);
    });
    for step in [WIDE, 1] {
        repeat(code, step, |code| {
            code.local_get(TO).local_get(FROM);
            if step == WIDE {
                code.v128_load(at(0)).v128_store(at(0));
            } else {
                code.i32_load8_u(at(0)).i32_store8(at(0));
            }
            advance(code, TO, step);
            advance(code, FROM, step);
        });
    }
    code.end();
    function
}

/// `memory.fill`, for all memory.
pub fn fill() -> Function {
    let vector = 3;
    let mut function = Function::new([(1, ValType::V128)]);
    let mut sink = function.instructions();
    let code = &mut sink;
    is_own(code, TO);
    code.if_(BlockType::Empty);
    code.local_get(TO).local_get(VALUE).local_get(LENGTH);
    code.memory_fill(0).return_().end();

    code.local_get(VALUE).i8x16_splat().local_set(vector);
    for step in [STEP, WIDE] {
        repeat(code, step, |code| {
            for offset in (0..step).step_by(WIDE as usize) {
                code.local_get(TO).local_get(vector).v128_store(at(offset));
            }
            advance(code, TO, step);
        });
    }
    repeat(code, 1, |code| {
        code.local_get(TO).local_get(VALUE).i32_store8(at(0));
        advance(code, TO, 1);
    });
    code.end();
    function
}

/// An import that hands bytes to the host: the first parameter is the handle, the second and
/// the third are the list.
#[derive(Clone)]
pub struct Handover {
    pub import: u32,
    pub parameters: Vec<ValType>,
    pub results: Vec<ValType>,
}

const ADDRESS: u32 = 1;

impl Handover {
    /// Whether an import is one.
    pub fn find(module: &str, name: &str, kind: &FuncType, import: u32) -> Option<Self> {
        let known = match name {
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
                module.starts_with("wasi:io/streams@")
            }
            "[method]descriptor.write" => module.starts_with("wasi:filesystem/types@"),
            _ => false,
        };
        let convert = |kinds: &[wasmparser::ValType]| kinds.iter().map(plain).collect();
        let (parameters, results): (Option<Vec<_>>, Option<Vec<_>>) =
            (convert(kind.params()), convert(kind.results()));
        let (parameters, results) = (parameters?, results?);
        let takes_list = parameters.get(1..3) == Some(&[ValType::I32; 2]);
        (known && takes_list).then_some(Self {
            import,
            parameters,
            results,
        })
    }

    /// The same, by way of a copy if the bytes are mapped.
    pub fn function(&self, copy: u32, malloc: u32, free: u32) -> Function {
        let room = self.parameters.len() as u32;
        let mut function = Function::new([(1, ValType::I32)]);
        let mut sink = function.instructions();
        let code = &mut sink;
        is_own(code, ADDRESS);
        code.i32_eqz().if_(BlockType::Empty);
        code.local_get(LENGTH)
            .call(malloc)
            .local_tee(room)
            .i32_eqz();
        code.if_(BlockType::Empty).unreachable().end();
        code.local_get(room).local_get(ADDRESS).local_get(LENGTH);
        code.call(copy);
        code.local_get(room).local_set(ADDRESS).end();
        for parameter in 0..room {
            code.local_get(parameter);
        }
        code.call(self.import);
        // 0 where there is none.
        code.local_get(room).call(free).end();
        function
    }
}

fn plain(kind: &wasmparser::ValType) -> Option<ValType> {
    match kind {
        wasmparser::ValType::I32 => Some(ValType::I32),
        wasmparser::ValType::I64 => Some(ValType::I64),
        wasmparser::ValType::F32 => Some(ValType::F32),
        wasmparser::ValType::F64 => Some(ValType::F64),
        _ => None,
    }
}
