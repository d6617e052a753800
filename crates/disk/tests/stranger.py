#!/usr/bin/env python3
"""Reads a sealed disk, from docs/sealed-disk-format.md and nothing else.

    stranger.py STORE KEYFILE [WITNESS]

The key file has 32 bytes, the key, or 64: behind it the one before it.

Prints a line for every block that has a cell: its number and the SHA-256 of what it holds. Exits with 1 where the
store is corrupt, 2 where the key is the wrong one, 3 where the store is older than its witness.

The sections named here are those of that page. Needs python3-cryptography.
"""

import hashlib
import hmac
import re
import stat
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BLOCK, TAG, CELL, HEADER, PAGE = 4096, 16, 4112, 512, 819
DATA, DISCARD, MAP_PAGE, CHECKPOINT, CLOSE = 1, 2, 3, 4, 5
HAVE_CELLS = (DATA, MAP_PAGE, CHECKPOINT)


class Corrupt(Exception):
    pass


class WrongKey(Exception):
    pass


class Older(Exception):
    pass


def need(holds, place, what):
    if not holds:
        raise Corrupt(f"{place}: {what}")


# Section 2: keys.


def derive(key, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(key)


class Sealer:
    """The key of one segment and what it binds everything to."""

    def __init__(self, volume_key, volume, name, salt):
        info = b"cofferdam segment v1" + b"\x01" + volume + struct.pack("<QQ", *name)
        self.cipher = AESGCM(derive(volume_key, salt, info))
        self.bound = volume + struct.pack("<QQ", *name)
        self.name = name

    def header(self, offset, sealed, additional=None):
        """The sealed text of a header, or None."""
        if additional is None:
            additional = self.bound + struct.pack("<Q", offset)
        return self.open(b"\x01\0\0\0" + struct.pack("<Q", offset), sealed, additional)

    def cell(self, offset, kind, number, sealed):
        """The block in a cell, or None."""
        additional = self.bound + struct.pack("<Q", kind << 56 | number)
        return self.open(b"\0\0\0\0" + struct.pack("<Q", offset), sealed, additional)

    def open(self, nonce, sealed, additional):
        if len(sealed) < TAG:
            return None
        try:
            return self.cipher.decrypt(nonce, sealed, additional)
        except InvalidTag:
            return None


# Section 3: the store.


class Store:
    def __init__(self, path):
        self.path = Path(path)
        self.files = {}

    def regular(self, path):
        try:
            return stat.S_ISREG(path.lstat().st_mode)
        except FileNotFoundError:
            return False

    def head(self):
        path = self.path / "head"
        need(self.regular(path), "head", "there is none")
        return path.read_bytes()

    def names(self):
        found = []
        for path in (self.path / "segments").iterdir():
            match = re.fullmatch(r"([0-9a-f]{8,16})-([0-9a-f]{12,16})", path.name)
            if match:
                name = tuple(int(number, 16) for number in match.groups())
                if self.spell(name) == path.name:
                    found.append(name)
        return sorted(found)

    @staticmethod
    def spell(name):
        return f"{name[0]:08x}-{name[1]:012x}"

    def read(self, name, offset, length):
        """As many of these bytes as there are."""
        if name not in self.files:
            path = self.path / "segments" / self.spell(name)
            self.files[name] = path.read_bytes() if self.regular(path) else b""
        return self.files[name][offset : offset + length]


# Section 8: the head.


class Head:
    def __init__(self, raw, key, before):
        need(len(raw) == 256, "head", "its length")
        need(raw[:8] == b"CFDHEAD\x01", "head", "its magic")
        suite, log_align, state = raw[8:11]
        need(suite == 1 and 9 <= log_align <= 12 and state in (1, 2), "head", "a value")
        need(not any(raw[11:16] + raw[92:96] + raw[216:224]), "head", "something that is not zero")
        self.align, self.clean = 1 << log_align, state == 2
        self.volume = raw[16:32]
        self.blocks, self.segment, self.bytes = struct.unpack("<QII", raw[32:48])
        self.epoch, self.generation, self.next_sequence = struct.unpack("<QQQ", raw[48:72])
        self.first = struct.unpack("<QQ", raw[72:88])
        (self.offset,) = struct.unpack("<I", raw[88:92])
        self.mark = (struct.unpack("<Q", raw[96:104])[0], raw[104:120])
        self.end = (struct.unpack("<Q", raw[120:128])[0], raw[128:144])
        counters = (self.epoch, self.generation, self.next_sequence)
        need(all(counter < 1 << 63 for counter in counters), "head", "a counter")
        need(1 <= self.blocks <= 1 << 40, "head", "its number of blocks")
        good = 65536 <= self.segment <= 33554432 and self.segment % 4096 == 0
        need(good and self.slots() <= 1 << 19, "head", "its segments")
        (self.rotation,) = struct.unpack("<Q", raw[176:184])
        sound = self.rotation <= self.next_sequence and (self.rotation or not any(raw[184:216]))
        need(sound, "head", "its rotation")
        if not self.rotation and before and self.commitment(before) == raw[144:176]:
            key, before = before, None  # a rotation that has not begun
        if self.commitment(key) != raw[144:176]:
            raise WrongKey()
        if self.rotation and (not before or self.commitment(before) != raw[184:216]):
            raise WrongKey()
        self.key, self.before = key, before
        head_key = derive(key, self.volume, b"cofferdam head v1")
        code = hmac.new(head_key, raw[:224], hashlib.sha256).digest()
        need(hmac.compare_digest(code, raw[224:]), "head", "it does not verify")

    def commitment(self, key):
        return derive(key, None, b"cofferdam commitment v1" + self.volume)

    def key_of(self, name):
        return self.before if name[1] < self.rotation else self.key

    def slots(self):
        full = -(-self.blocks // ((self.segment - self.align) // CELL))
        return full + full // 2 + 16

    def pages(self):
        return -(-self.blocks // PAGE)


# Section 4: the segment header.


class Segment:
    def __init__(self, slot, name, salt, sealer):
        self.slot, self.name, self.salt, self.sealer = slot, name, salt, sealer


def good_segment(store, head, name):
    """What a good header says, with suite and alignment; or None."""
    raw = store.read(name, 0, 96)
    if len(raw) < 96 or raw[:8] != b"CFDSEG\0\x01" or raw[8] != 1 or not 9 <= raw[9] <= 12 or any(raw[10:12]):
        return None
    (slot,) = struct.unpack("<I", raw[12:16])
    if raw[16:32] != head.volume or struct.unpack("<QQ", raw[32:48]) != name:
        return None
    sealer = Sealer(head.key_of(name), head.volume, name, raw[48:80])
    if sealer.header(0, raw[80:96], additional=raw[:80]) is None:
        return None
    return Segment(slot, name, raw[48:80], sealer), 1 << raw[9]


# Section 5: records.


class Record:
    def __init__(self, segment, offset, tag, text):
        self.segment, self.offset, self.tag = segment, offset, tag
        self.lsn, self.durable, self.previous = struct.unpack("<QQ16s", text[:32])
        self.cells, extents, self.length = struct.unpack("<HHI", text[32:40])
        self.sound = extents <= 57 and self.cells <= 248 and self.durable <= self.lsn
        self.extents = []
        for number in range(extents if self.sound else 0):
            raw = text[40 + 8 * number : 48 + 8 * number]
            first = int.from_bytes(raw[:5], "little")
            self.extents.append((raw[5], first, int.from_bytes(raw[6:], "little")))
        self.sound = (
            self.sound
            and not any(text[40 + 8 * extents :])
            and all(DATA <= kind <= CLOSE for kind, _, _ in self.extents)
            and self.cells == sum(count for kind, _, count in self.extents if kind in HAVE_CELLS)
            and self.length % 512 == 0
            and HEADER + CELL * self.cells <= self.length <= 1 << 20
        )

    def places(self):
        """Every cell: kind, number, offset."""
        offset = self.offset + HEADER
        for kind, first, count in self.extents:
            if kind in HAVE_CELLS:
                for number in range(first, first + count):
                    yield kind, number, offset
                    offset += CELL


def record_at(store, head, segment, offset):
    """The record whose header verifies at this place, or None."""
    raw = store.read(segment.name, offset, HEADER)
    if offset + HEADER > head.segment or len(raw) < HEADER:
        return None
    text = segment.sealer.header(offset, raw)
    if text is None:
        return None
    record = Record(segment, offset, raw[-TAG:], text)
    return record if record.sound and offset + record.length <= head.segment else None


def cells_of(store, record):
    """Every cell's kind, number and block; None for a block that does not verify."""
    for kind, number, offset in record.places():
        sealed = store.read(record.segment.name, offset, CELL)
        block = record.segment.sealer.cell(offset, kind, number, sealed) if len(sealed) == CELL else None
        yield kind, number, block


# Section 9: the witness.


class Witness:
    def __init__(self, line):
        match = re.fullmatch(r"cofferdam-witness v1 ([0-9a-f]{32}) ([0-9]+) ([0-9]+) ([0-9a-f]{32})\n?", line)
        if not match:
            raise ValueError("this is no witness")
        self.volume, self.tag = bytes.fromhex(match[1]), bytes.fromhex(match[4])
        self.epoch, self.lsn = int(match[2]), int(match[3])


# Section 10: reading.


class Disk:
    def __init__(self, path, key, before=None, witness=None):
        self.store, self.witness = Store(path), witness
        self.head = Head(self.store.head(), key, before)
        if witness:
            if witness.volume != self.head.volume:
                raise ValueError("the witness is another volume's")
            ends_early = self.head.clean and self.head.end[0] < witness.lsn
            if witness.epoch > self.head.epoch or ends_early:
                raise Older()
        names = self.store.names()
        for name in names:
            later = name[0] > self.head.epoch and good_segment(self.store, self.head, name)
            need(not later, "head", "it is older than a segment")
        self.chain = []
        self.proven = max(self.head.end[0], witness.lsn if witness else 0)
        self.follow(names)
        self.cut()
        self.compare()
        self.take_checkpoint()
        self.replay()

    def follow(self, names):
        head = self.head
        names = [n for n in names if n[0] == head.first[0] and n[1] >= head.first[1]]
        for name in names:
            good = good_segment(self.store, head, name)
            if not good:
                need(name == names[-1] != head.first, Store.spell(name), "its header")
                continue
            segment, align = good
            need(align == head.align, Store.spell(name), "its alignment")
            if self.follow_within(segment, head.offset if name == head.first else align):
                break
        first = self.chain[0] if self.chain else None
        need(first and first.segment.name == head.first, "head", "its checkpoint is not there")
        need((first.lsn, first.tag) == head.mark, Store.spell(head.first), "the checkpoint's first record")

    def follow_within(self, segment, offset):
        """Follows the chain in one segment; answers whether it is complete."""
        head = self.head
        while record := record_at(self.store, head, segment, offset):
            last = self.chain[-1] if self.chain else None
            if last and (record.lsn != last.lsn + 1 or record.previous != last.tag):
                break
            if not last and record.lsn != head.mark[0]:
                break
            self.chain.append(record)
            self.proven = max(self.proven, record.durable)
            offset += record.length
            if head.clean and record.lsn >= head.end[0]:
                return True
        end = offset
        last = self.chain[-1].lsn if self.chain else 0
        while offset < head.segment:
            if record := record_at(self.store, head, segment, offset):
                self.proven = max(self.proven, record.durable)
                lost = f"{Store.spell(segment.name)} at {end}"
                need(record.durable <= last, lost, "a flushed record is missing")
            offset += head.align
        return False

    def cut(self):
        for index, record in enumerate(self.chain):
            if record.lsn > self.proven and any(block is None for _, _, block in cells_of(self.store, record)):
                del self.chain[index:]
                return

    def compare(self):
        last = self.chain[-1] if self.chain else None
        place = f"{Store.spell(last.segment.name)} at {last.offset + last.length}" if last else "the log"
        reached = last.lsn if last else 0
        tags = {record.lsn: record.tag for record in self.chain}
        need(reached >= self.head.end[0], place, "the log ends too early")
        need(tags.get(self.head.end[0]) == self.head.end[1], place, "another record than the head's")
        if self.witness:
            known = tags.get(self.witness.lsn, self.witness.tag)
            if reached < self.witness.lsn or known != self.witness.tag:
                raise Older()
        need(reached >= self.proven, place, "a flushed record is missing")

    # Section 7, and steps 6 and 7.

    def take_checkpoint(self):
        head, pieces = self.head, b""
        for record in self.chain:
            if len(pieces) >= head.bytes:
                break
            if not any(kind == CHECKPOINT for kind, _, _ in record.extents):
                continue
            for kind, number, block in cells_of(self.store, record):
                need(block is not None, Store.spell(record.segment.name), "a cell of the checkpoint")
                if kind == CHECKPOINT and number == len(pieces) // BLOCK:
                    pieces += block
        need(len(pieces) >= head.bytes >= 8, Store.spell(head.first), "the checkpoint is not whole")
        pieces = pieces[: head.bytes]
        pages, segments = struct.unpack("<II", pieces[:8])
        whole = pages <= head.pages() and len(pieces) == 8 + 5 * pages + 60 * segments
        need(whole, Store.spell(head.first), "the checkpoint's lengths")
        self.pages = [int.from_bytes(pieces[8 + 5 * n : 13 + 5 * n], "little") for n in range(pages)]
        self.slots = {}
        for number in range(segments):
            raw = pieces[8 + 5 * pages + 60 * number :][:60]
            slot, _, _, epoch, sequence, salt = struct.unpack("<IIIQQ32s", raw)
            need(slot not in self.slots and slot < head.slots(), Store.spell(head.first), "a slot")
            name = (epoch, sequence)
            self.slots[slot] = Segment(slot, name, salt, Sealer(head.key_of(name), head.volume, name, salt))
        known = all(page == 0 or page >> 21 in self.slots for page in self.pages)
        need(known, Store.spell(head.first), "a page without a segment")
        for record in self.chain:
            there = self.slots.setdefault(record.segment.slot, record.segment)
            same = (there.name, there.salt) == (record.segment.name, record.segment.salt)
            need(same and there.slot < head.slots(), Store.spell(record.segment.name), "its slot is taken")

    def block_at(self, place, kind, number):
        slot, offset = place >> 21, (place & (1 << 21) - 1) * 16
        need(slot in self.slots, "the map", "a segment that is not there")
        segment = self.slots[slot]
        sealed = self.store.read(segment.name, offset, CELL)
        block = segment.sealer.cell(offset, kind, number, sealed)
        need(block is not None, f"{Store.spell(segment.name)} at {offset}", "a cell does not verify")
        return block

    # Section 6, and step 8.

    def replay(self):
        self.map = {}
        for number, place in enumerate(self.pages):
            if place == 0:
                continue
            page = self.block_at(place, MAP_PAGE, number)
            for entry in range(PAGE):
                self.put(number * PAGE + entry, int.from_bytes(page[5 * entry : 5 * entry + 5], "little"))
        for record in self.chain:
            places = record.places()
            for kind, first, count in record.extents:
                if kind == DISCARD:
                    for block in range(first, min(first + count, self.head.blocks)):
                        self.put(block, 0)
                for _ in range(count if kind in HAVE_CELLS else 0):
                    _, number, offset = next(places)
                    if kind == DATA:
                        need(number < self.head.blocks, f"block {number}", "beyond the disk")
                        self.put(number, record.segment.slot << 21 | offset // 16)

    def put(self, block, place):
        if place:
            self.map[block] = place
        else:
            self.map.pop(block, None)

    def blocks(self):
        for block in sorted(self.map):
            yield block, self.block_at(self.map[block], DATA, block)


def main():
    store, key_file, *witness = sys.argv[1:]
    keys = Path(key_file).read_bytes()
    key, before = keys[:32], keys[32:] or None
    try:
        disk = Disk(store, key, before, Witness(witness[0]) if witness else None)
        for number, block in disk.blocks():
            print(number, hashlib.sha256(block).hexdigest())
    except Corrupt as corrupt:
        print(f"corrupt: {corrupt}", file=sys.stderr)
        return 1
    except WrongKey:
        print("the wrong key", file=sys.stderr)
        return 2
    except Older:
        print("older than its witness", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
