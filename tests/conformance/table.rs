//! What a guest and a native program are both made to do, in the language of
//! `support/language.rs`. What comes out must be the same.
//!
//! In names, `{x}` is a name that nobody else has, with its slash, `{=x}` the same
//! without, and `{x~251}` one that is as long as that after its slash. Lines of one
//! scenario share objects, and whatever a scenario creates has a name of its own.

/// Names of the scenarios, and their lines.
pub const TABLE: &[(&str, &str)] = &[
    (
        "semaphore: one that does not exist",
        "
        s = sem.open {a}
        s = sem.open {a} mode=666 value=5
        sem.unlink {a}
        ",
    ),
    (
        "semaphore: counting",
        "
        s = sem.open {a} create mode=600 value=2
        sem.value s
        sem.ready s
        sem.try s
        sem.acquire s
        sem.value s
        sem.ready s
        sem.try s
        sem.acquire s timeout=0
        sem.acquire s timeout=1
        sem.acquire s timeout=3000000
        sem.release s
        sem.value s
        sem.acquire s timeout=1
        sem.release s
        sem.acquire s timeout=max64
        sem.release s
        sem.acquire s timeout=0
        sem.value s
        sem.release s
        sem.release s
        sem.release s
        sem.value s
        ",
    ),
    (
        "semaphore: exclusive",
        "
        s = sem.open {a} create exclusive value=1
        t = sem.open {a} create exclusive value=1
        sem.value s
        t = sem.open {a} exclusive
        t = sem.open {b} exclusive
        t = sem.open {b}
        ",
    ),
    (
        "semaphore: an existing one is opened as it is",
        "
        s = sem.open {a} create mode=640 value=3
        t = sem.open {a} create mode=666 value=77
        sem.value t
        sem.mode t
        t = sem.open {a} create mode=600 value=max32
        sem.value t
        sem.try t
        sem.value s
        ",
    ),
    (
        "semaphore: modes",
        "
        s = sem.open {a} create mode=666
        sem.mode s
        s = sem.open {b} create mode=777
        sem.mode s
        s = sem.open {c} create mode=600
        sem.mode s
        s = sem.open {d} create exclusive mode=3644
        sem.mode s
        s = sem.open {e} create mode=0
        sem.mode s
        t = sem.open {a}
        sem.mode t
        ",
    ),
    (
        "semaphore: values at the limit",
        "
        s = sem.open {a} create value=2147483648
        s = sem.open {a}
        s = sem.open {a} create value=max32
        s = sem.open {a}
        s = sem.open {a} create value=2147483647
        sem.value s
        sem.release s
        sem.value s
        sem.try s
        sem.release s
        sem.release s
        sem.value s
        ",
    ),
    (
        "semaphore: unlinking",
        "
        s = sem.open {a} create value=1
        sem.unlink {a}
        sem.unlink {a}
        t = sem.open {a}
        sem.value s
        sem.try s
        sem.release s
        t = sem.open {a} create value=7
        sem.value t
        sem.value s
        sem.try t
        sem.value s
        sem.unlink {a}
        close t
        sem.value s
        ",
    ),
    (
        "semaphore: two handles are one semaphore",
        "
        s = sem.open {a} create value=1
        t = sem.open {a}
        sem.try s
        sem.value t
        close s
        sem.release t
        sem.value t
        s = sem.open {a}
        sem.value s
        ",
    ),
    (
        "semaphore: names",
        "
        s = sem.open ''
        s = sem.open / create
        s = sem.open /.
        s = sem.open /..
        s = sem.open {a}/b create
        s = sem.open {a}/../b create
        s = sem.open {a}\\0b create
        s = sem.open {a}\\sb create value=4
        sem.value s
        s = sem.open {ä}* create value=5
        sem.value s
        sem.unlink ''
        sem.unlink {a}/b
        sem.unlink {a}
        s = sem.open {a} truncate
        ",
    ),
    (
        "semaphore: long names",
        "
        s = sem.open {a~251} create value=3
        sem.value s
        sem.unlink {a~251}
        s = sem.open {a~252} create
        s = sem.open {a~252}
        s = sem.open {a~255}
        s = sem.open {a~256}
        sem.unlink {a~252}
        ",
    ),
    (
        "semaphore: aliases",
        "
        s = sem.open {a} create value=3
        t = sem.open {=a}
        t = sem.open /{a}
        ",
    ),
    (
        "semaphore: flags for others",
        "
        s = sem.open {a} create value=3
        t = sem.open {a} truncate
        ",
    ),
    (
        "semaphore: unique names",
        "
        s = sem.unique {a}. mode=640 value=3
        t = sem.unique {a}. value=4
        sem.value s
        sem.value t
        sem.mode s
        u = sem.open {a}.
        u = sem.unique {a}. value=2147483648
        u = sem.unique {a~252}
        ",
    ),
    (
        "shared memory: one that does not exist",
        "
        m = shm.open {a}
        m = shm.open {a} access=read
        m = shm.open {a} size=10
        m = shm.open {a} truncate
        shm.unlink {a}
        ",
    ),
    (
        "shared memory: creating",
        "
        m = shm.open {a} create
        shm.size m
        shm.read m 0 10
        m = shm.open {b} create size=0
        shm.size m
        m = shm.open {c} create size=10
        shm.size m
        shm.read m 0 10
        m = shm.open {d} create exclusive size=10
        n = shm.open {d} create exclusive size=20
        shm.size m
        n = shm.open {d} exclusive
        n = shm.open {e} exclusive
        ",
    ),
    (
        "shared memory: sizes at opening",
        "
        m = shm.open {a} create mode=640 size=10
        shm.write m 0 0123456789
        n = shm.open {a} create mode=666
        shm.size n
        shm.mode n
        n = shm.open {a} size=20
        shm.size m
        shm.read m 0 30
        n = shm.open {a} create size=4
        shm.size m
        n = shm.open {a} size=8
        shm.read m 0 30
        n = shm.open {a} access=read
        shm.size n
        n = shm.open {a} create size=0
        shm.size m
        ",
    ),
    (
        "shared memory: a size that is refused leaves the object as it was",
        "
        m = shm.open {a} create size=10
        shm.write m 0 0123456789
        n = shm.open {a} size=max64
        n = shm.open {a} size=9223372036854775808
        n = shm.open {a} create size=max64
        shm.read m 0 20
        n = shm.open {a}
        shm.size n
        n = shm.open {b} create size=max64
        n = shm.open {b}
        ",
    ),
    (
        "shared memory: modes",
        "
        m = shm.open {a} create mode=666
        shm.mode m
        m = shm.open {b} create mode=777
        shm.mode m
        m = shm.open {c} create mode=600
        shm.mode m
        m = shm.open {d} create exclusive mode=7644
        shm.mode m
        m = shm.open {e} create mode=0 size=10
        shm.mode m
        shm.write m 0 abc
        shm.read m 0 3
        ",
    ),
    (
        "shared memory: resizing",
        "
        m = shm.open {a} create size=10
        shm.write m 0 0123456789
        shm.resize m 20
        shm.size m
        shm.read m 0 100
        shm.resize m 4
        shm.read m 0 100
        shm.resize m 10
        shm.read m 0 100
        shm.resize m 0
        shm.size m
        shm.read m 0 100
        shm.resize m 5000
        shm.read m 0 5000
        shm.resize m 5000
        shm.size m
        shm.resize m max64
        shm.resize m 9223372036854775808
        shm.size m
        ",
    ),
    (
        "shared memory: huge objects",
        "
        m = shm.open {a} create size=1099511627776
        shm.size m
        shm.read m 1099511627770 100
        shm.write m 1099511627770 abcdef
        shm.read m 1099511627770 100
        shm.resize m 9223372036854775807
        shm.size m
        shm.resize m 0
        shm.size m
        m = shm.open {b} create size=9223372036854775807
        shm.size m
        ",
    ),
    (
        "shared memory: reading and writing",
        "
        m = shm.open {a} create size=8192
        shm.write m 0 begin
        shm.write m 8187 end.!
        shm.write m 4094 page
        shm.read m 0 5
        shm.read m 0 0
        shm.read m 8187 5
        shm.read m 8187 6
        shm.read m 8187 100
        shm.read m 4094 4
        shm.read m 0 8192
        shm.read m 0 10000
        shm.read m 0 max64
        shm.read m 8191 max32
        shm.read m 8192 1
        shm.read m 8193 1
        shm.read m 1000000 1
        shm.write m 100 ''
        shm.write m 8188 end.!
        shm.write m 8192 a
        shm.write m 100000 a
        shm.size m
        shm.read m 8187 100
        ",
    ),
    (
        "shared memory: an end in the midst of a page",
        "
        m = shm.open {a} create size=10
        shm.write m 8 ab
        shm.read m 0 100
        shm.write m 9 ab
        shm.word m u32 8 load
        shm.word m u64 8 add 1
        shm.wait m 12 1
        shm.notify m 12 1
        shm.size m
        shm.read m 0 100
        ",
    ),
    (
        "shared memory: offsets that overflow",
        "
        m = shm.open {a} create size=4096
        shm.read m max64 1
        shm.read m max64-7 max64
        shm.read m 9223372036854775807 1
        shm.write m max64 a
        shm.write m max64-1 abc
        shm.word m u32 max64-3 load
        shm.word m u64 max64-7 add 1
        shm.size m
        ",
    ),
    (
        "shared memory: opened for reading",
        "
        m = shm.open {a} create size=16
        shm.write m 0 0123456789abcdef
        n = shm.open {a} access=read
        shm.size n
        shm.mode n
        shm.read n 0 100
        shm.word n u32 0 load
        shm.word n u64 8 load
        shm.write n 0 x
        shm.word n u32 0 store 1
        shm.word n u32 0 add 1
        shm.word n u32 0 compare-exchange 1 2
        shm.word n u64 0 store 1
        shm.word n u64 0 exchange 1
        shm.word n u64 0 compare-exchange 1 2
        shm.wait n 0 1
        shm.notify n 0 1
        shm.resize n 100
        shm.resize n 0
        shm.read m 0 100
        ",
    ),
    (
        "shared memory: created for reading",
        "
        m = shm.open {a} create access=read
        shm.size m
        shm.write m 0 x
        shm.resize m 10
        ",
    ),
    (
        "shared memory: a size for an object that is opened for reading",
        "
        m = shm.open {a} create size=16
        n = shm.open {a} access=read size=8
        shm.size m
        n = shm.open {b} create access=read size=8
        ",
    ),
    (
        "shared memory: opened for writing",
        "
        m = shm.open {a} create size=16
        n = shm.open {a} access=write
        ",
    ),
    (
        "shared memory: truncating",
        "
        m = shm.open {a} create size=16
        shm.write m 0 0123456789abcdef
        n = shm.open {a} truncate
        shm.size m
        shm.read m 0 16
        n = shm.open {a} truncate size=8
        shm.read m 0 16
        shm.write m 0 01234567
        n = shm.open {a} create truncate size=4
        shm.read m 0 16
        n = shm.open {b} create truncate size=4
        shm.read n 0 16
        n = shm.open {b} create exclusive truncate
        shm.size n
        ",
    ),
    (
        "shared memory: truncating what is opened for reading",
        "
        m = shm.open {a} create size=16
        n = shm.open {a} access=read truncate
        shm.size m
        ",
    ),
    (
        "shared memory: atomics of 32 bits",
        "
        m = shm.open {a} create size=64
        shm.word m u32 4 load
        shm.word m u32 4 store 4294967294
        shm.word m u32 4 load
        shm.word m u32 4 add 5
        shm.word m u32 4 load
        shm.word m u32 4 add max32
        shm.word m u32 4 load
        shm.word m u32 4 store 252645135
        shm.word m u32 4 and 16711935
        shm.word m u32 4 or 1073741839
        shm.word m u32 4 xor max32
        shm.word m u32 4 exchange 17
        shm.word m u32 4 load
        shm.word m u32 4 compare-exchange 16 99
        shm.word m u32 4 load
        shm.word m u32 4 compare-exchange 17 99
        shm.word m u32 4 load
        shm.word m u32 4 store 67305985
        shm.read m 0 12
        shm.word m u32 60 add 1
        shm.word m u32 60 load
        shm.read m 52 12
        ",
    ),
    (
        "shared memory: atomics of 64 bits",
        "
        m = shm.open {a} create size=64
        shm.word m u64 8 load
        shm.word m u64 8 store max64-1
        shm.word m u64 8 load
        shm.word m u64 8 add 5
        shm.word m u64 8 load
        shm.word m u64 8 add max64
        shm.word m u64 8 load
        shm.word m u64 8 store 1085102592571150095
        shm.word m u64 8 and 71777214294589695
        shm.word m u64 8 or 4611686018427387919
        shm.word m u64 8 xor max64
        shm.word m u64 8 exchange 17
        shm.word m u64 8 load
        shm.word m u64 8 compare-exchange 16 99
        shm.word m u64 8 load
        shm.word m u64 8 compare-exchange 17 max64
        shm.word m u64 8 load
        shm.word m u64 8 store 578437695752307201
        shm.read m 0 24
        shm.word m u64 56 add 1
        shm.word m u64 56 load
        shm.read m 48 16
        ",
    ),
    (
        "shared memory: atomics where there is no word",
        "
        m = shm.open {a} create size=4096
        shm.word m u32 1 load
        shm.word m u32 2 store 1
        shm.word m u32 3 add 1
        shm.word m u64 4 load
        shm.word m u64 1 store 1
        shm.word m u64 7 compare-exchange 0 1
        shm.wait m 2 0
        shm.notify m 2 1
        shm.read m 0 16
        shm.word m u32 4096 load
        shm.word m u32 4096 store 1
        shm.word m u32 4096 add 1
        shm.word m u32 4096 compare-exchange 0 1
        shm.word m u64 4096 load
        shm.word m u64 4096 store 1
        shm.word m u64 4096 exchange 1
        shm.word m u64 4096 compare-exchange 0 1
        shm.wait m 4096 1
        shm.notify m 4096 1
        shm.resize m 0
        shm.word m u32 0 load
        shm.word m u64 0 add 1
        shm.wait m 0 1
        shm.resize m 8
        shm.word m u64 0 load
        ",
    ),
    (
        "shared memory: waiting",
        "
        m = shm.open {a} create size=64
        shm.word m u32 4 store 7
        shm.wait m 4 8
        shm.wait m 4 8 timeout=0
        shm.wait m 4 8 timeout=max64
        shm.wait m 4 7 timeout=1
        shm.wait m 4 7 timeout=3000000
        shm.notify m 4 1
        shm.notify m 4 0
        shm.notify m 4 2147483647
        shm.notify m 4 max32
        shm.wait m 4 7 timeout=0
        ",
    ),
    (
        "shared memory: unlinking",
        "
        m = shm.open {a} create size=4
        shm.write m 0 once
        shm.unlink {a}
        shm.unlink {a}
        n = shm.open {a}
        shm.read m 0 10
        shm.resize m 8
        n = shm.open {a} create size=6
        shm.write n 0 second
        shm.read m 0 10
        shm.size m
        shm.read n 0 10
        close n
        shm.unlink {a}
        shm.read m 0 10
        ",
    ),
    (
        "shared memory: names",
        "
        m = shm.open ''
        m = shm.open / create
        m = shm.open /.
        m = shm.open /..
        m = shm.open {a}/b create
        m = shm.open {a}/../b create
        m = shm.open {a}\\0b create
        m = shm.open {a}\\sb create size=4
        shm.size m
        m = shm.open {ä}* create size=5
        shm.size m
        shm.unlink ''
        shm.unlink {a}/b
        shm.unlink /.
        shm.unlink {a}
        ",
    ),
    (
        "shared memory: long names",
        "
        m = shm.open {a~255} create size=3
        shm.size m
        shm.unlink {a~255}
        m = shm.open {a~256} create
        m = shm.open {a~256}
        shm.unlink {a~256}
        ",
    ),
    (
        "shared memory: aliases",
        "
        m = shm.open {a} create size=3
        n = shm.open {=a}
        n = shm.open /{a}
        s = sem.open {b} create value=3
        n = shm.open /sem.{=b}
        n = shm.open /sem.{=b} access=read
        shm.unlink /sem.{=b}
        ",
    ),
    (
        "shared memory: unique names",
        "
        m = shm.unique {a}. mode=640 size=16
        n = shm.unique {a}. size=0
        shm.size m
        shm.mode m
        shm.write m 0 abc
        shm.size n
        o = shm.open {a}.
        o = shm.unique {a}. size=max64
        o = shm.unique {a~256}
        ",
    ),
    (
        "queue: one that does not exist",
        "
        q = mq.open {a}
        q = mq.open {a} access=read
        q = mq.open {a} access=write limits=4x64
        mq.unlink {a}
        ",
    ),
    (
        "queue: creating",
        "
        q = mq.open {a} create exclusive limits=4x64
        mq.attributes q
        r = mq.open {a} create exclusive limits=4x64
        r = mq.open {a} exclusive
        r = mq.open {b} exclusive
        r = mq.open {a} create mode=666 limits=2x16
        mq.attributes r
        mq.mode r
        r = mq.open {a} create limits=0x0
        mq.attributes r
        r = mq.open {a} create limits=max32xmax32
        mq.attributes r
        close r
        q = mq.open {c} create limits=1x1
        mq.attributes q
        ",
    ),
    (
        "queue: modes",
        "
        q = mq.open {a} create mode=666 limits=1x16
        mq.mode q
        mq.unlink {a}
        q = mq.open {a} create mode=777 limits=1x16
        mq.mode q
        mq.unlink {a}
        q = mq.open {a} create exclusive mode=7644 limits=1x16
        mq.mode q
        mq.unlink {a}
        q = mq.open {a} create mode=0 limits=1x16
        mq.mode q
        mq.send q x:1
        mq.receive q
        ",
    ),
    (
        "queue: default limits",
        "
        q = mq.open {a} create
        mq.attributes q
        ",
    ),
    (
        "queue: limits that are refused",
        "
        q = mq.open {a} create limits=0x64
        q = mq.open {a} create limits=4x0
        q = mq.open {a} create limits=0x0
        q = mq.open {a} create limits=max32xmax32
        q = mq.open {a} create limits=max32x1
        q = mq.open {a} create limits=1xmax32
        q = mq.open {a} create limits=65537x1
        q = mq.open {a} create limits=1x16777217
        q = mq.open {a} create limits=65536x65536
        q = mq.open {a}
        q = mq.open {a} create limits=max+1x8
        q = mq.open {b} create limits=1xmax+1
        ",
    ),
    (
        "queue: order",
        "
        q = mq.open {a} create limits=8x16
        mq.receive q timeout=0
        mq.send q low1:1
        mq.send q high1:9
        mq.send q low2:1
        mq.send q none:0
        mq.send q high2:9
        mq.send q top:32767
        mq.attributes q
        mq.receive q
        mq.receive q
        mq.receive q timeout=0
        mq.receive q timeout=1
        mq.receive q timeout=max64
        mq.attributes q
        mq.receive q
        mq.receive q timeout=0
        ",
    ),
    (
        "queue: messages",
        "
        q = mq.open {a} create limits=4x8
        mq.send q '':0
        mq.send q '':7
        mq.receive q
        mq.receive q
        mq.send q 12345678:1
        mq.send q 123456789:1
        mq.send q \\0\\0:1
        mq.attributes q
        mq.receive q
        mq.receive q
        mq.send q x:32768
        mq.send q x:max32
        mq.send q 123456789:32768
        mq.send q 123456789:1 timeout=0
        mq.attributes q
        ",
    ),
    (
        "queue: full and empty",
        "
        q = mq.open {a} create limits=2x8
        mq.readable q
        mq.writable q
        mq.receive q timeout=0
        mq.receive q timeout=1
        mq.receive q timeout=3000000
        mq.send q a:0
        mq.readable q
        mq.writable q
        mq.send q b:0 timeout=0
        mq.writable q
        mq.send q c:9 timeout=0
        mq.send q c:9 timeout=1
        mq.send q c:9 timeout=3000000
        mq.send q 123456789:0 timeout=0
        mq.attributes q
        mq.receive q
        mq.send q d:0 timeout=max64
        mq.receive q
        mq.receive q
        mq.receive q timeout=0
        ",
    ),
    (
        "queue: directions",
        "
        q = mq.open {a} create limits=2x8
        r = mq.open {a} access=read
        w = mq.open {a} access=write
        mq.send r x:0
        mq.send r x:0 timeout=0
        mq.send w x:0
        mq.receive w
        mq.receive w timeout=0
        mq.receive r
        mq.send-batch r x:0 y:0
        mq.receive-batch w 2 timeout=0
        mq.attributes r
        mq.attributes w
        mq.receive r timeout=0
        ",
    ),
    (
        "queue: batches",
        "
        q = mq.open {a} create limits=4x8
        mq.send-batch q a:1 b:2 c:1
        mq.attributes q
        mq.receive-batch q 2
        mq.receive-batch q 5 timeout=0
        mq.receive-batch q 5 timeout=0
        mq.receive-batch q 5 timeout=1
        mq.send-batch q a:1 b:2 c:1 d:0 e:0 f:0 timeout=0
        mq.attributes q
        mq.send-batch q g:1 h:1 timeout=0
        mq.send-batch q g:1 h:1 timeout=3000000
        mq.receive-batch q 1
        mq.send-batch q g:1 h:1 timeout=3000000
        mq.receive-batch q 4 timeout=max64
        mq.send-batch q a:1 123456789:1 c:1
        mq.send-batch q 123456789:1 c:1
        mq.send-batch q x:32768 c:1
        mq.receive-batch q 4
        mq.send-batch q
        mq.receive-batch q 0 timeout=0
        ",
    ),
    (
        "queue: unlinking",
        "
        q = mq.open {a} create limits=2x8
        mq.send q one:0
        mq.unlink {a}
        mq.unlink {a}
        r = mq.open {a}
        mq.attributes q
        r = mq.open {a} create limits=1x16
        mq.attributes r
        mq.send r two:0
        mq.receive q
        mq.receive q timeout=0
        mq.receive r
        close r
        mq.unlink {a}
        mq.send q three:0
        mq.receive q
        ",
    ),
    (
        "queue: notifications",
        "
        q = mq.open {a} create limits=2x8
        n = mq.notify q
        notification.delivered n
        notification.ready n
        o = mq.notify q
        r = mq.open {a}
        o = mq.notify r
        mq.send r x:0
        notification.delivered n
        notification.ready n
        o = mq.notify r
        notification.delivered o
        mq.send r y:0
        notification.delivered o
        mq.receive-batch q 2
        mq.send r z:0
        notification.delivered o
        notification.delivered n
        o = mq.notify r
        close o
        n = mq.notify q
        mq.receive q
        mq.send q z:0
        notification.delivered n
        ",
    ),
    (
        "queue: names",
        "
        q = mq.open ''
        q = mq.open / create limits=1x1
        q = mq.open /.
        q = mq.open /..
        q = mq.open {=a} create limits=1x1
        q = mq.open /{a} create limits=1x1
        q = mq.open {a}/b create limits=1x1
        q = mq.open {a}\\0b create limits=1x1
        q = mq.open {a}\\sb create limits=1x16
        mq.attributes q
        q = mq.open {ä}* create limits=2x16
        mq.attributes q
        mq.unlink ''
        mq.unlink {a}/b
        mq.unlink {a}
        ",
    ),
    (
        "queue: long names",
        "
        q = mq.open {a~255} create limits=1x16
        mq.attributes q
        mq.unlink {a~255}
        q = mq.open {a~256} create limits=1x16
        q = mq.open {a~256}
        mq.unlink {a~256}
        ",
    ),
    (
        "queue: flags for others",
        "
        q = mq.open {a} create limits=1x16
        mq.send q x:0
        r = mq.open {a} truncate
        mq.attributes q
        ",
    ),
    (
        "queue: unique names",
        "
        q = mq.unique {a}. mode=640 limits=2x16
        mq.attributes q
        mq.mode q
        mq.send q x:0
        r = mq.unique {a}. limits=1x8
        mq.attributes r
        mq.receive q
        r = mq.open {a}.
        r = mq.unique {a}. limits=0x0
        r = mq.unique {a~256} limits=1x8
        ",
    ),
    ("the system's limits", "limits"),
];

/// A scenario with its names.
pub struct Scenario {
    pub name: &'static str,
    /// The lines as they stand in the table, and as they are run.
    pub lines: Vec<(&'static str, String)>,
}

/// The scenarios, with names that start with this prefix.
pub fn scenarios(prefix: &str) -> impl Iterator<Item = Scenario> {
    TABLE
        .iter()
        .enumerate()
        .map(move |(number, (name, lines))| {
            let prefix = format!("{prefix}.{number}");
            let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
            Scenario {
                name,
                lines: lines.map(|line| (line, expand(line, &prefix))).collect(),
            }
        })
}

fn expand(line: &str, prefix: &str) -> String {
    let mut expanded = String::new();
    let mut rest = line;
    while let Some((before, name)) = rest.split_once('{') {
        let (name, after) = name.split_once('}').expect("a brace is closed");
        expanded.push_str(before);
        expanded.push_str(&match (name.strip_prefix('='), name.split_once('~')) {
            (Some(name), _) => format!("{prefix}.{name}"),
            (_, Some((name, length))) => {
                let length = length.parse().expect("a length is a number");
                let name = format!("{prefix}.{name}");
                format!("/{name:.<length$}")
            }
            _ => format!("/{prefix}.{name}"),
        });
        rest = after;
    }
    expanded + rest
}
