"""Texts that are, or nearly are, addresses: chosen ones, then mutations of them. Always the same."""
import random

CHOSEN = """
0.0.0.0 192.0.2.1 192.0.2.255 255.255.255.255 192.0.2.01 192.0.2.001 00.0.0.0 192.0.2.256 192.0.2 192.0.2.1.5 192.0.2. .192.0.2.1 192..2.1
1.2.3.4 0x7f.1 127.1 2130706433 192.0.2.1:53 192.0.2.1:0 192.0.2.1:65535 192.0.2.1:65536 192.0.2.1:053 192.0.2.1:+53 192.0.2.1:-1 192.0.2.1:
192.0.2.1:53:54 192.0.2.1#53 192.0.2.1%eth0 192.0.2.1/24 [192.0.2.1]:53 [192.0.2.1] -1.2.3.4 +1.2.3.4 1.2.3.4e1 1e1.2.3.4 1.2.3.a
:: ::1 1:: ::1: :1:: ::: :::: 1::2 1::2::3 1:::2 0::0 ::0:0 ::ffff ::ffff:0:0 ::ffff:192.0.2.1 ::ffff:c000:201 ::FFFF:192.0.2.1
::ffff:192.0.2.01 ::ffff:192.0.2 ::ffff:192.0.2.1.5 ::fffe:192.0.2.1 64:ff9b::192.0.2.33 ::192.0.2.1 ::1.2.3.4 ::1:53 ::c000:201 ::1:0 ::ffff:1:53
2001:db8::1 2001:DB8::1 2001:0db8::0001 2001:db8:0:0:0:0:0:1 2001:db8:0:0:0:0:2:1 2001:db8::1:1:1:1:1 2001:db8:0:1:1:1:1:1
2001:0:0:1:0:0:0:1 2001:db8:0:0:1:0:0:1 2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa 2001:db8::1:53 2001:db8::53
1:2:3:4:5:6:7:8 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1::3:4:5:6:7:8 1:2:3:4::5:6:7:8 1:2:3:4:5:6:7:8::
::1:2:3:4:5:6:7:8 1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 1:2:3:4:5:1.2.3.4 1::1.2.3.4 1.2.3.4::1 ::1.2.3.4:5 1:2:3:4:5:1.2.3.4:8
12345:: ::12345 00000:: ::00001 0001:: fffff:: g:: ::g ::1g 2001:db8::-1 2001:db8::+1 2001:db8::0x1 2001:db8::1/64 2001:db8::1/128
[::1] [::1]:53 [::1]:0 [::1]:65535 [::1]:65536 [::1]:053 [::1]: [::1]53 [::1 ::1] [[::1]]:53 [::1]:53:54 [::1]#53 ::1#53 []:53 []
[::ffff:192.0.2.1]:53 [::ffff:192.0.2.1%eth0]:53 [2001:db8::1]:443 [::1:53]:53 [::1:53]
fe80::1 fe80::1%eth0 fe80::1%1 fe80::1%01 fe80::1%0 fe80::1% fe80::1%% fe80::1%a%b %eth0 fe80::%eth0:53 fe80::1%eth0#53 [fe80::1%eth0] [fe80::1%eth0]:53
[fe80::1%]:53 [fe80::1]%eth0 [fe80::1]%eth0:53 fe80::1%25eth0 fe80::1%br-lan.5 fe80::1%abcdefghijklmnop fe80::1%4294967295 fe80::1%4294967296
FE80::1%eth0 febf::1%eth0 fec0::1%eth0 fe80:1::1%eth0 fd00::1%eth0 2001:db8::1%eth0 ::1%lo ::%eth0 ff02::1%eth0 ff02::1:2%lan0 ff01::1%1 ff05::2%1
ff08::1%1 ff0e::1%eth0 ff00::1%eth0 ff0f::1%eth0 ff1e::1 ::ffff:192.0.2.1%eth0
localhost localhost:53 example.com www.example.com:80 dead.beef a.b.c.d deadbeef 1 53 1. .
""".split() + ["", " ", " ::1", "::1 ", "2001:db8:: 1", "192.0.2.1 ", " 192.0.2.1", "\t::1", "::1%eth 0", "fe80::1%eth 0", "192.0.2.1 :53"]

rng = random.Random(6)
texts = list(CHOSEN)
alphabet = "0123456789abcdefABCDEF::::....%[]#/ g-+"
for _ in range(4000):
    text = list(rng.choice(CHOSEN))
    for _ in range(rng.randint(1, 3)):
        how = rng.randrange(4)
        at = rng.randint(0, len(text))
        if how == 0:
            text.insert(at, rng.choice(alphabet))
        elif how == 1 and text:
            del text[at % len(text)]
        elif how == 2 and text:
            text[at % len(text)] = rng.choice(alphabet)
        elif text:
            other = rng.randrange(len(text))
            text[at % len(text)], text[other] = text[other], text[at % len(text)]
    texts.append("".join(text))
for _ in range(1000):
    groups = [rng.choice([0, 0, 0, 1, 0x53, 0xdb8, rng.randrange(0x10000)]) for _ in range(8)]
    texts.append(":".join(f"{group:{rng.choice(['x', '04x', 'X'])}}" for group in groups))
seen = set()
for text in texts:
    if text not in seen and "\n" not in text:
        seen.add(text)
        print(text)
