//! The guest of the tests. Its first argument says what it does.

#[path = "../../support/language.rs"]
#[allow(dead_code, reason = "the tests use a part as well")]
mod language;
#[path = "../../conformance/table.rs"]
mod table;

mod attacks;
mod conformance;
mod interpreter;
mod peer;
mod pollables;
mod process;

#[allow(unreachable_pub, unsafe_op_in_unsafe_fn)]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["do", ref lines @ ..] => interpreter::main(lines),
        ["must", ref lines @ ..] => interpreter::must(lines),
        ["repeat", ref lines @ ..] => interpreter::repeat(lines),
        ["end", how, ref lines @ ..] => {
            interpreter::must_and(lines, || process::main(&how.split(' ').collect::<Vec<_>>()))
        }
        ["conformance", prefix] => conformance::main(prefix),
        ["poll", ref arguments @ ..] => pollables::main(arguments),
        ["peer", ref arguments @ ..] => peer::main(arguments),
        ["attack", ref arguments @ ..] => attacks::main(arguments),
        ["process", ref arguments @ ..] => process::main(arguments),
        _ => panic!("unknown arguments: {arguments:?}"),
    }
}
