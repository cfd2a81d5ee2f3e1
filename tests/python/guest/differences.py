"""Where the guest does better than what it replaces, on purpose."""

import errno
import unittest

import posix_ipc
from posix_ipc import O_CREAT, O_CREX, MessageQueue, Semaphore, SharedMemory


class Names(unittest.TestCase):
    """Natively, each of these is a crash or a surprise."""

    def test_nul(self):
        for kind in (Semaphore, SharedMemory, MessageQueue):
            for name in ("/a\0b", b"/a\0b"):
                with self.assertRaisesRegex(ValueError, "embedded null character"):
                    kind(name, O_CREAT)

    def test_not_unicode(self):
        for kind in (Semaphore, SharedMemory, MessageQueue):
            for name in ("/\udc80", b"/\xff"):
                with self.assertRaisesRegex(ValueError, "UTF-8"):
                    kind(name, O_CREAT)

    def test_names_of_directories(self):
        for kind in (Semaphore, SharedMemory):
            for name in ("/.", "/.."):
                with self.assertRaises(ValueError):
                    kind(name, O_CREAT)

    def test_a_semaphore_is_no_segment(self):
        Semaphore("/gate", O_CREX).close()
        with self.assertRaises(ValueError):
            SharedMemory("/sem.gate")
        posix_ipc.unlink_semaphore("/gate")

    def test_random_names_are_long(self):
        names = set()
        for _ in range(20):
            semaphore = Semaphore(None, O_CREX)
            names.add(semaphore.name)
            semaphore.unlink()
            semaphore.close()
        self.assertEqual(len(names), 20)
        self.assertTrue(all(len(name) == 17 for name in names))


class Arguments(unittest.TestCase):
    def test_timeouts_that_are_none(self):
        semaphore = Semaphore("/timeouts", O_CREX, initial_value=1)
        with self.assertRaises(ValueError):
            semaphore.acquire(float("nan"))
        semaphore.acquire(float("inf"))
        semaphore.release()
        semaphore.acquire(1e300)
        semaphore.release()
        semaphore.acquire(2**62)
        with self.assertRaises(posix_ipc.BusyError):
            semaphore.acquire(1e-300)

    def test_values_do_not_wrap_around(self):
        for value in (2**32, 2**32 + 5, 2**70):
            with self.assertRaises(ValueError):
                Semaphore("/wrap", O_CREAT, initial_value=value)
        for size in (2**64, 2**64 + 10):
            with self.assertRaises(ValueError):
                SharedMemory("/wrap", O_CREAT, size=size)

    def test_messages(self):
        queue = MessageQueue("/messages", O_CREX)
        for message in (1, None, 1.5, ["x"]):
            with self.assertRaisesRegex(TypeError, "a bytes-like object is required"):
                queue.send(message)
        with self.assertRaises(TypeError):
            queue.send()
        with self.assertRaises(UnicodeEncodeError):
            queue.send("\udc80")
        self.assertEqual(queue.current_messages, 0)
        queue.unlink()
        queue.close()

    def test_block_cannot_be_deleted(self):
        queue = MessageQueue("/block", O_CREX)
        with self.assertRaises(AttributeError):
            del queue.block
        self.assertTrue(queue.block)
        queue.unlink()
        queue.close()


class Life(unittest.TestCase):
    def test_a_failed_resize_leaves_the_segment(self):
        memory = SharedMemory("/keep", O_CREX, size=10)
        for arguments in ({"size": -1}, {"size": 2**63}, {"size": 20, "read_only": True}):
            with self.assertRaisesRegex(ValueError, "The size is invalid"):
                SharedMemory("/keep", **arguments)
        with self.assertRaises(OSError) as raised:
            SharedMemory("/keep", size=1 << 40)
        self.assertEqual(raised.exception.code, "quota")
        self.assertEqual(raised.exception.errno, errno.EDQUOT)
        self.assertEqual(SharedMemory("/keep").size, 10)
        memory.unlink()
        memory.close_fd()

    def test_a_closed_semaphore_can_be_unlinked(self):
        semaphore = Semaphore("/closed", O_CREX)
        semaphore.close()
        semaphore.unlink()
        with self.assertRaises(posix_ipc.ExistentialError):
            semaphore.unlink()

    def test_handles_come_back(self):
        for _ in range(1000):
            Semaphore("/many", O_CREAT)
            memory = SharedMemory("/many", O_CREAT)
            memory.close_fd()
            queue = MessageQueue("/many", O_CREAT)
            queue.close()
        posix_ipc.unlink_semaphore("/many")
        posix_ipc.unlink_shared_memory("/many")
        posix_ipc.unlink_message_queue("/many")


class Errors(unittest.TestCase):
    def test_codes(self):
        with self.assertRaises(posix_ipc.ExistentialError) as raised:
            Semaphore("/none")
        self.assertEqual(raised.exception.code, "no-entry")
        semaphore = Semaphore("/codes", O_CREX)
        with self.assertRaises(posix_ipc.ExistentialError) as raised:
            Semaphore("/codes", O_CREX)
        self.assertEqual(raised.exception.code, "exists")
        with self.assertRaises(posix_ipc.BusyError) as raised:
            semaphore.acquire(0)
        self.assertEqual(raised.exception.code, "busy")
        with self.assertRaises(posix_ipc.BusyError) as raised:
            semaphore.acquire(0.001)
        self.assertEqual(raised.exception.code, "timed-out")
        self.assertIsNone(raised.exception.__cause__)
        semaphore.unlink()
        with self.assertRaises(ValueError):
            MessageQueue("no slash")
        self.assertIsNone(posix_ipc.Error("mine").code)

    def test_limits_are_named(self):
        with self.assertRaisesRegex(ValueError, r"max_messages must be from 1 to \d+"):
            MessageQueue("/limits", O_CREX, max_messages=1 << 20, max_message_size=1)
        with self.assertRaisesRegex(ValueError, r"max_message_size must be from 1 to \d+"):
            MessageQueue("/limits", O_CREX, max_messages=1, max_message_size=1 << 30)
        with self.assertRaisesRegex(ValueError, "from 0 to 2147483647"):
            Semaphore("/limits", O_CREX, initial_value=-1)

    def test_callbacks_raise_to_the_caller(self):
        def fail(parameter):
            raise KeyError(parameter)

        queue = MessageQueue("/callback", O_CREX)
        queue.request_notification((fail, "why"))
        with self.assertRaisesRegex(KeyError, "why"):
            queue.send("sent all the same")
        self.assertEqual(queue.receive(), (b"sent all the same", 0))
        queue.unlink()
        queue.close()


if __name__ == "__main__":
    unittest.main()
