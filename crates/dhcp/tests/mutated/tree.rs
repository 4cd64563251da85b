//! A message taken apart, changed, and put together again: lengths stay true unless they are what is changed, so that what
//! lies deep inside is reached.

use fastrand::Rng;

/// An option: its code, what stands before its own options, these, or else its content.
#[derive(Debug, Clone)]
struct Node {
    code: u16,
    head: Vec<u8>,
    inside: Inside,
    /// Added to its length as it is written.
    lie: u16,
}

#[derive(Debug, Clone)]
enum Inside {
    Octets(Vec<u8>),
    Options(Vec<Node>),
    Message(Box<Tree>),
}

/// A message: the header as octets, and its options.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    head: Vec<u8>,
    options: Vec<Node>,
}

/// How many octets stand before the options of an option; none of one that has no options.
fn head_of(code: u16) -> Option<usize> {
    match code {
        3 | 25 => Some(12),
        5 => Some(24),
        26 => Some(25),
        44 => Some(17),
        45 | 66 | 94..=96 => Some(0),
        17 => Some(4),
        _ => None,
    }
}

fn options(mut bytes: &[u8], depth: u8) -> Option<Vec<Node>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let [a, b, c, d] = *head;
        let (code, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        let (content, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        found.push(node(code, content, depth));
    }
    Some(found)
}

fn node(code: u16, content: &[u8], depth: u8) -> Node {
    let (mut head, mut inside) = (Vec::new(), Inside::Octets(content.to_vec()));
    if code == 9
        && depth < 12
        && let Some(tree) = Tree::parse_at(content, depth + 1)
    {
        inside = Inside::Message(Box::new(tree));
    }
    if let Some((before, rest)) = head_of(code).and_then(|length| content.split_at_checked(length))
        && let Some(nodes) = options(rest, depth + 1)
    {
        head = before.to_vec();
        inside = Inside::Options(nodes);
    }
    Node { code, head, inside, lie: 0 }
}

impl Node {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.code.to_be_bytes());
        let at = out.len();
        out.extend([0, 0]);
        out.extend(&self.head);
        match &self.inside {
            Inside::Octets(octets) => out.extend(octets),
            Inside::Options(nodes) => nodes.iter().for_each(|node| node.write(out)),
            Inside::Message(tree) => tree.write_to(out),
        }
        let length = (out.len() - at - 2) as u16;
        out[at..at + 2].copy_from_slice(&length.wrapping_add(self.lie).to_be_bytes());
    }
}

impl Tree {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_at(bytes, 0)
    }

    fn parse_at(bytes: &[u8], depth: u8) -> Option<Self> {
        let length = if matches!(bytes.first()?, 12 | 13) { 34 } else { 4 };
        let (head, rest) = bytes.split_at_checked(length)?;
        Some(Self { head: head.to_vec(), options: options(rest, depth)? })
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend(&self.head);
        self.options.iter().for_each(|node| node.write(out));
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }

    /// A list of options somewhere in it, not far down as a rule.
    fn somewhere(&mut self, rng: &mut Rng) -> &mut Vec<Node> {
        let mut list = &mut self.options;
        loop {
            let deeper = |node: &Node| !matches!(node.inside, Inside::Octets(_));
            let doors: Vec<usize> = (0..list.len()).filter(|at| deeper(&list[*at])).collect();
            if doors.is_empty() || rng.u8(..3) == 0 {
                return list;
            }
            let door = doors[rng.usize(..doors.len())];
            list = match &mut list[door].inside {
                Inside::Options(nodes) => nodes,
                Inside::Message(tree) => &mut tree.options,
                Inside::Octets(_) => unreachable!(),
            };
        }
    }

    /// Changes one thing. `other` lends what is spliced in.
    pub(crate) fn mutate(&mut self, other: &mut Self, rng: &mut Rng) {
        if rng.u8(..16) == 0 {
            let at = rng.usize(..self.head.len().min(2));
            self.head[at] = rng.u8(..40);
            return;
        }
        let borrowed = {
            let list = other.somewhere(rng);
            if list.is_empty() { None } else { Some(list[rng.usize(..list.len())].clone()) }
        };
        let list = self.somewhere(rng);
        let at = rng.usize(..=list.len());
        let here = at < list.len();
        match rng.u8(..10) {
            0 if here => drop(list.remove(at)),
            1 if here => {
                // One, or a great many.
                let copies = if rng.u8(..8) == 0 { rng.usize(1..40) } else { 1 };
                let copy = list[at].clone();
                list.splice(at..at, std::iter::repeat_n(copy, copies));
            }
            2 if here => {
                let to = rng.usize(..list.len());
                list.swap(at, to);
            }
            3 if here => list[at].code = code(rng),
            4 if here => list[at].lie = [1, u16::MAX, 4, 0x8000, rng.u16(..)][rng.usize(..5)],
            5 if here => octets(&mut list[at].head, rng),
            6 | 7 if here => match &mut list[at].inside {
                Inside::Octets(content) => octets(content, rng),
                Inside::Options(nodes) => nodes.clear(),
                Inside::Message(tree) => octets(&mut tree.head, rng),
            },
            8 => {
                let content = noise(rng, 40);
                let (head, inside) = (Vec::new(), Inside::Octets(content));
                list.insert(at, Node { code: code(rng), head, inside, lie: 0 });
            }
            _ => list.extend(borrowed),
        }
    }
}

/// A code that is likely to mean something.
fn code(rng: &mut Rng) -> u16 {
    if rng.u8(..8) == 0 { rng.u16(..) } else { rng.u16(..150) }
}

fn noise(rng: &mut Rng, most: usize) -> Vec<u8> {
    let count = rng.usize(..most);
    std::iter::repeat_with(|| rng.u8(..)).take(count).collect()
}

fn octets(content: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(..=content.len());
    match rng.u8(..5) {
        0 => content.truncate(at),
        1 => content.insert(at, rng.u8(..)),
        2 if at < content.len() => content[at] ^= 1 << rng.u8(..8),
        3 if at < content.len() => content[at] = [0, 0xff, 0x80, 0x7f, rng.u8(..)][rng.usize(..5)],
        _ => {
            let more = noise(rng, 20);
            content.extend(more);
        }
    }
}

/// Octets as they come from a wire that loses some, where nothing fits any more.
pub(crate) fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let times = rng.usize(1..4);
    for _ in 0..times {
        octets(bytes, rng);
    }
}
