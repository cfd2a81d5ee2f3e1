//! Guests written in C: the same POSIX source, built natively and for the sandbox, says
//! the same; and the two talk to each other.

mod archive;

use crate::support::manual::Example;
use crate::support::program::{Program, guest_c, native_c};
use crate::support::{Folder, Names, repository, scratch_file};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn source(name: &str) -> PathBuf {
    repository().join("tests/c").join(name)
}

/// A program both ways: native first.
fn both(name: &str) -> [Program; 2] {
    [native_c(&source(name)), guest_c(&source(name))]
}

/// Every way for two of them to meet, the one that is only native first.
fn pairs(programs: &[Program; 2]) -> Vec<(&Program, &Program)> {
    let all = programs
        .iter()
        .flat_map(|a| programs.iter().map(move |b| (a, b)));
    all.collect()
}

/// The lines that differ, or where one text ends before the other.
fn assert_same(native: &str, guest: &str) {
    let differences: Vec<_> = native
        .lines()
        .zip(guest.lines())
        .filter(|(native, guest)| native != guest)
        .map(|(native, guest)| format!("native {native}\nguest  {guest}\n"))
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.concat());
    assert_eq!(native, guest);
}

#[test]
fn errors_are_the_native_ones() {
    let [native, guest] = both("errors.c");
    // One after the other, under the same names: the names are part of the output.
    let names = Names::new();
    let native = native.start(&names, [&names.start()]).output();
    let guest = guest.start(&names, [&names.start()]).output();
    assert!(native.lines().count() > 200);
    assert_same(&native, &guest);
}

#[test]
fn mappings_are_like_native_ones() {
    let [native, guest] = both("mapping.c");
    let run = |program: &Program, option: &str| {
        let names = Names::new();
        let name = names.name("memory");
        let grant = format!("{name},own,keep{option}");
        let output = program.start_with(["--shm", &grant], [&name]).output();
        let left = std::fs::read(format!("/dev/shm{name}")).unwrap();
        (output, left)
    };
    let native = run(&native, "");
    assert!(native.1.starts_with(b"left behind"));
    // By copies, and mapped by the host.
    for option in ["", ",map"] {
        let guest = run(&guest, option);
        assert_same(&native.0, &guest.0);
        assert!(native.1 == guest.1, "not the same bytes left behind");
    }
}

#[test]
fn copies_of_every_length_and_overlap() {
    let [native, guest] = both("copies.c");
    let run = |program: &Program, option: &str| {
        let names = Names::new();
        let name = names.name("memory");
        let grant = format!("{name},own{option}");
        program.start_with(["--shm", &grant], [&name]).output()
    };
    let native = run(&native, "");
    assert!(native.ends_with(" copies right\n"), "{native}");
    for option in ["", ",map"] {
        assert_same(&native, &run(&guest, option));
    }
}

#[test]
fn frames_through_a_ring() {
    let programs = both("frames.c");
    let mut expected = None;
    for (maker, taker) in pairs(&programs) {
        let names = Names::new();
        let made = maker.start(&names, ["make", &names.start(), "500"]);
        let taken = taker
            .start(&names, ["take", &names.start(), "500"])
            .output();
        assert_eq!(made.output(), "made 500 frames\n");
        assert!(taken.contains("took 500 frames, 0 wrong"), "{taken}");
        assert_eq!(&taken, expected.get_or_insert(taken.clone()));
        assert_eq!(names.existing(), [""; 0]);
    }
}

#[test]
fn jobs_by_their_priority() {
    let programs = both("priority.c");
    let alone = programs.each_ref().map(|program| {
        let names = Names::new();
        let queue = names.name("queue");
        program.start(&names, ["alone", &queue]).output()
    });
    assert!(
        alone[0].starts_with("7 of 8\n30 put out the fire\n20 call"),
        "{}",
        alone[0]
    );
    assert_same(&alone[0], &alone[1]);

    for (sender, worker) in pairs(&programs) {
        let names = Names::new();
        let queue = names.name("queue");
        let sent = sender.start(&names, ["send", &queue]);
        let worked = worker.start(&names, ["work", &queue]).output();
        assert_eq!(sent.output(), "sent\n");
        assert_eq!(worked, "6 jobs, 80 letters\n0 left\n");
    }
}

#[test]
fn a_counter_under_a_semaphore_in_shared_memory() {
    let [native, guest] = both("counter.c");
    const TIMES: u32 = 2000;
    for creator in [&native, &guest] {
        let names = Names::new();
        let counter = names.name("counter");
        let grant = format!("{counter},own,keep");
        let run = |program: &Program, arguments: &[&str]| {
            program.start_with(["--shm", &grant], arguments)
        };
        run(creator, &["create", &counter]).output();
        let adders = [&native, &guest, &native, &guest];
        let adding: Vec<_> = (1..)
            .zip(adders)
            .map(|(place, program): (u32, _)| {
                let (place, times) = (place.to_string(), TIMES.to_string());
                run(program, &["add", &counter, &place, &times])
            })
            .collect();
        for adder in adding {
            assert_eq!(adder.output(), "0 of its marks lost\n");
        }
        let shown = run(creator, &["show", &counter]).output();
        let mark = TIMES as u8;
        let expected = format!(
            "count {}, lock 1, marks 0 {mark} {mark} {mark} {mark} 0 0 0 0 0 0 0 0 0 0 0\n",
            4 * TIMES
        );
        assert_eq!(shown, expected);
    }
}

/// The options of a guest that maps these names.
fn mapping(memory: &str, gate: &str) -> Vec<String> {
    let memory = format!("{memory},own,keep,map");
    let gate = format!("{gate},own,keep,map");
    ["--shm", &memory, "--sem", &gate].map(String::from).into()
}

#[test]
fn host_mappings_are_like_native_mappings() {
    let programs = both("host_mappings.c");
    let file = scratch_file("host_mappings.txt", "hello world");
    let folder = file.parent().unwrap().display().to_string();
    let [native, guest] = programs.map(|program| {
        let names = Names::new();
        let (memory, gate) = (names.name("memory"), names.name("gate"));
        let queue = names.name("queue");
        let mut options = mapping(&memory, &gate);
        program
            .start_with(&options, ["create", &memory, &gate])
            .output();
        options.extend(["--mq".into(), format!("{queue},own")]);
        options.extend(["--dir".into(), folder.clone()]);
        let arguments = ["same", &memory, &queue, &file.display().to_string()];
        let output = program.start_with(&options, arguments).output();
        let left = std::fs::read(format!("/dev/shm{memory}")).unwrap();
        (output, left)
    });
    assert_same(&native.0, &guest.0);
    assert!(native.1 == guest.1, "not the same bytes left behind");
}

#[test]
fn host_mappings_count_with_native_programs() {
    let [native, guest] = both("host_mappings.c");
    const TIMES: u32 = 1_000_000;
    for creator in [&native, &guest] {
        let names = Names::new();
        let (memory, gate) = (names.name("memory"), names.name("gate"));
        let options = mapping(&memory, &gate);
        creator
            .start_with(&options, ["create", &memory, &gate])
            .output();
        let times = TIMES.to_string();
        let counting = [&native, &guest]
            .map(|program| program.start_with(&options, ["count", &memory, &gate, &times]));
        for running in counting {
            assert_eq!(running.output(), "counted\n");
        }
        let left = std::fs::read(format!("/dev/shm{memory}")).unwrap();
        let word = |at: usize| u32::from_ne_bytes(left[at..at + 4].try_into().unwrap());
        let few = 2 * (TIMES / 10);
        let words = [4, 8, 12, 16, 20].map(word);
        assert_eq!(words, [2 * TIMES, 2 * TIMES, 2 * TIMES, few, few]);
    }
}

#[test]
fn notifications_reach_handlers() {
    let programs = both("notify.c");
    let mut expected = None;
    for (teller, waiter) in pairs(&programs) {
        let names = Names::new();
        let queue = names.name("queue");
        names.name("queue.answers");
        names.name("queue.asked");
        let waiting = waiter.start(&names, ["wait", &queue]);
        let told = teller.start(&names, ["tell", &queue]).output();
        let output = waiting.output();
        assert_eq!(told, "told\n");
        // The first pair is native.
        assert_same(expected.get_or_insert(output.clone()), &output);
    }
}

#[test]
fn one_thread_has_what_is_its_own() {
    let programs = both("threads.c");
    let [native, guest] = programs.map(|program| {
        let folder = Folder::new();
        let folder = folder.path().display().to_string();
        program.start_with(["--dir", &folder], [&folder]).output()
    });
    assert!(native.ends_with("cleanup of the thread\n"), "{native}");
    assert_same(&native, &guest);
}

#[test]
fn what_a_guest_has_not_is_an_error() {
    let text = r#"
        #include <errno.h>
        #include <fcntl.h>
        #include <mqueue.h>
        #include <pthread.h>
        #include <semaphore.h>
        #include <stdio.h>
        #include <sys/mman.h>
        #include <unistd.h>

        static void *run(void *argument) { return argument; }

        /* No UTF-8: a byte that is in none, one too few, a long form, half of a pair. */
        static const char *names[] = {"/a\xff", "/a\xc3", "/\xc0\xaf", "/\xed\xa0\x80"};

        int main(void) {
            pthread_t thread;
            pthread_mutexattr_t attributes;
            pthread_mutexattr_init(&attributes);
            printf("%d", pthread_create(&thread, NULL, run, NULL) == EAGAIN);
            printf("%d", pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == ENOTSUP);
            printf("%d\n", fork() == -1 && errno == ENOSYS);
            for (int i = 0; i < 4; i++) {
                printf("%d", sem_open(names[i], O_CREAT, 0600, 1) == SEM_FAILED && errno == EINVAL);
                printf("%d", shm_open(names[i], O_RDWR | O_CREAT, 0600) == -1 && errno == EINVAL);
                printf("%d", mq_open(names[i], O_RDONLY | O_CREAT, 0600, NULL) == -1 && errno == EINVAL);
                printf("%d", sem_unlink(names[i]) == -1 && errno == ENOENT);
                printf("%d\n", mq_unlink(names[i]) == -1 && errno == EINVAL);
            }
            printf("%d\n", sem_open("/\xc3\xa4\xf0\x9f\x98\x80", O_CREAT, 0600, 1) != SEM_FAILED);
            return 0;
        }
    "#;
    let guest = guest_c(&scratch_file("absent.c", text));
    let output = guest.start_with(["--private"], [""; 0]).output();
    assert_eq!(output, "111\n11111\n11111\n11111\n11111\n1\n");
}

/// A struct of which guest and native program have the same, and what must not compile.
#[test]
fn shared_types_are_the_same_in_both() {
    let text = |wrong: &str| {
        format!(
            r#"
            #include <posix_ipc_native.h>
            #include <stdio.h>
            struct frame {{
                uint32_t width, height;
                native_size_t used;
                native_timespec taken;
                {wrong}
            }};
            NATIVE_MEMBER(struct frame, used, 8);
            NATIVE_MEMBER(struct frame, taken, 16);
            NATIVE_SIZE(struct frame, 32);
            int main(void) {{ puts("same"); return 0; }}
            "#
        )
    };
    let source = scratch_file("shared_types.c", &text(""));
    let guest = guest_c(&source);
    assert_eq!(guest.start_with([""; 0], [""; 0]).output(), "same\n");
    let shared = repository().join("guest-sdk/c/shared");
    let compiles = |compiler: &Path, text: &str| {
        let source = scratch_file("shared_types_wrong.c", text);
        let mut command = Command::new(compiler);
        command.arg("-fsyntax-only").arg("-I").arg(&shared);
        command.arg(source).output().unwrap().status.success()
    };
    let compilers = [
        PathBuf::from("cc"),
        repository().join("guest-sdk/c/posix-ipc-cc"),
    ];
    for compiler in compilers {
        assert!(compiles(&compiler, &text("")), "{compiler:?}");
        assert!(!compiles(&compiler, &text("long more;")), "{compiler:?}");
    }
    // Of the right length where it is compiled.
    let long = text("").replace("native_size_t used", "unsigned long used, more");
    assert!(!compiles(
        &repository().join("guest-sdk/c/posix-ipc-cc"),
        &long
    ));
}

#[test]
fn what_is_not_granted_is_denied() {
    let text = r#"
        #include <errno.h>
        #include <fcntl.h>
        #include <mqueue.h>
        #include <semaphore.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/mman.h>

        int main(void) {
            printf("%d", sem_open("/gate", O_CREAT, 0600, 1) == SEM_FAILED && errno == EACCES);
            printf("%d", shm_open("/memory", O_RDWR | O_CREAT, 0600) == -1 && errno == EACCES);
            printf("%d", mq_open("/jobs", O_RDONLY) == -1 && errno == EACCES);
            printf("%d\n", mq_unlink("/jobs") == -1 && errno == EACCES);
            return 0;
        }
    "#;
    let source = scratch_file("denied.c", text);
    let guest = guest_c(&source);
    let none: [&str; 0] = [];
    let output = guest.start_with(none, none).end();
    assert_eq!(output.stdout, "1111\n");
    let log = output.stderr;
    assert!(log.contains("--sem /gate,"), "{log}");
}

/// The linker leaves out what a program does not call, and must not leave out what the library
/// calls in its place.
#[test]
fn programs_that_call_little_are_whole() {
    let calls = [
        (
            "time.h",
            "struct timespec time; clock_gettime(CLOCK_MONOTONIC, &time)",
        ),
        (
            "time.h",
            "struct timespec time = {0}; nanosleep(&time, NULL)",
        ),
        ("poll.h", "poll(NULL, 0, 0)"),
        ("sched.h", "sched_yield()"),
        ("unistd.h", "char byte; read(0, &byte, 0)"),
        ("unistd.h", "sysconf(_SC_PAGESIZE)"),
        ("unistd.h", "ftruncate(7, 0)"),
        ("fcntl.h", "posix_fallocate(7, 0, 1)"),
        ("sys/stat.h", "struct stat status; fstat(0, &status)"),
        (
            "semaphore.h",
            "sem_t gate; sem_init(&gate, 0, 1); sem_wait(&gate)",
        ),
        ("mqueue.h", "mq_close(0)"),
        ("sys/mman.h", "munmap(NULL, 0)"),
    ];
    for (place, (header, call)) in calls.into_iter().enumerate() {
        let text = format!(
            "#include <stdio.h>\n#include <{header}>\n\
             int main(void) {{ {call}; printf(\"whole\\n\"); return 0; }}\n"
        );
        let source = scratch_file(&format!("little/{place}.c"), &text);
        let guest = guest_c(&source);
        let output = guest.start_with([""; 0], [""; 0]).output();
        assert_eq!(output, "whole\n", "{call}");
    }
}

#[test]
fn the_library_takes_no_name_that_a_program_may_have() {
    // Building a guest builds the library.
    guest_c(&source("errors.c"));
    let folder = std::env::var_os("POSIX_IPC_C_OUT")
        .map_or_else(|| repository().join("target/guests/c"), PathBuf::from);
    let taken = archive::defined(&folder.join("libposix_ipc.a"));
    assert!(taken.contains("sem_open"), "{taken:?}");
    // The canonical ABI has this name, and every definition of it does the same.
    let reserved = |name: &str| name.starts_with('_') || name == "cabi_realloc";
    // What POSIX has, the C library of this system has too. Of one it has no symbol that is
    // found while a program runs.
    let is_of_posix = |name: &str| {
        if name == "pthread_atfork" {
            return true;
        }
        let name = CString::new(name).unwrap();
        // SAFETY: the name is a C string.
        !unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.is_null()
    };
    let colliding: Vec<_> = taken
        .iter()
        .filter(|name| !reserved(name) && !is_of_posix(name))
        .collect();
    assert!(colliding.is_empty(), "{colliding:?}");
}

#[test]
fn the_program_of_the_manual_runs() {
    let program = Example::only(&repository().join("guest-sdk/c/README.md"), "c");
    let source = scratch_file("manual.c", &program.text);
    let guest = guest_c(&source);
    native_c(&source);
    super::program_of_a_manual(&guest);
}
