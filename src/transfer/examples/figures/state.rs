//! State as social dapps hold it, generated: the same bytes on every machine.

use ciborium::value::Value;

/// Words of posts, the frequent ones first.
const WORDS: &str = "the of and a to in is you that it he was for on are as with his they I at be this have from or one \
    had by word but not what all were we when your can said there use an each which she do how their if \
    will up other about out many then them these so some her would make like him into time has look two \
    more write go see number no way could people canister video post token bet hot like follow wallet \
    stable memory upgrade reward profile creator watch share today tomorrow funny music dance world \
    crypto internet computer amazing challenge friends winner cup rank";

/// Each kind of state by name, `length_bytes` of it.
pub(crate) fn kinds(length_bytes: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("cbor", fill(length_bytes, 1, cbor_record)),
        ("nodes", fill(length_bytes, 2, node)),
        ("text", fill(length_bytes, 3, |random| text(random, 64).into_bytes())),
        ("principals", fill(length_bytes, 4, principal)),
        ("noise", fill(length_bytes, 5, |random| random.bytes(64))),
        ("zeros", vec![0; length_bytes]),
    ]
}

fn fill(length_bytes: usize, seed: u64, mut part: impl FnMut(&mut Random) -> Vec<u8>) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::new();
    while bytes.len() < length_bytes {
        bytes.extend(part(&mut random));
    }
    bytes.truncate(length_bytes);
    bytes
}

/// Xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 56) as u8).collect()
    }
}

fn text(random: &mut Random, words: usize) -> String {
    let vocabulary: Vec<&str> = WORDS.split_whitespace().collect();
    let count = vocabulary.len() as u64;
    let word = |_| vocabulary[random.below(count).min(random.below(count)) as usize];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// A canister id of 10 bytes or a user's principal of 29.
fn principal(random: &mut Random) -> Vec<u8> {
    if random.below(2) == 0 {
        let mut bytes = vec![0; 10];
        bytes[5..8].copy_from_slice(&random.bytes(3));
        bytes[8..].fill(1);
        bytes
    } else {
        let mut bytes = random.bytes(29);
        bytes[28] = 2;
        bytes
    }
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::Text(key.into()), value)).collect())
}

fn post(random: &mut Random) -> Value {
    let words = 5 + random.below(40) as usize;
    let video: String = random.bytes(16).iter().map(|byte| format!("{byte:02x}")).collect();
    let likes = (0..random.below(12)).map(|_| Value::Bytes(principal(random))).collect();
    let hashtags = (0..random.below(4)).map(|_| Value::Text(text(random, 1))).collect();
    map(vec![
        ("id", random.below(1_000).into()),
        ("description", Value::Text(text(random, words))),
        ("hashtags", Value::Array(hashtags)),
        ("video_uid", Value::Text(video)),
        ("status", Value::Text("ReadyToView".into())),
        (
            "created_at",
            map(vec![
                ("secs_since_epoch", (1_690_000_000 + random.below(10_000_000)).into()),
                ("nanos_since_epoch", random.below(1_000_000_000).into()),
            ]),
        ),
        ("likes", Value::Array(likes)),
        ("share_count", random.below(50).into()),
        (
            "view_stats",
            map(vec![
                ("total_view_count", random.below(100_000).into()),
                ("average_watch_percentage", random.below(100).into()),
            ]),
        ),
        ("current_score", random.below(1 << 40).into()),
    ])
}

fn follow(random: &mut Random) -> Value {
    map(vec![
        ("follower_principal_id", Value::Bytes(principal(random))),
        ("canister_id", Value::Bytes(principal(random))),
        ("last_updated_at", (1_690_000_000 + random.below(10_000_000)).into()),
    ])
}

fn transfer(random: &mut Random) -> Value {
    map(vec![
        ("token_event", Value::Text("Transfer".into())),
        ("to_account", Value::Bytes(principal(random))),
        ("amount", random.below(1_000_000).into()),
        ("timestamp", (1_690_000_000 + random.below(10_000_000)).into()),
    ])
}

fn cbor_record(random: &mut Random) -> Vec<u8> {
    let record = match random.below(10) {
        0..6 => post(random),
        6..8 => follow(random),
        _ => transfer(random),
    };
    let mut bytes = Vec::new();
    ciborium::into_writer(&record, &mut bytes).expect("memory takes it");
    bytes
}

/// A node of a stable map: fixed size, filled to somewhere between a third and nine tenths.
fn node(random: &mut Random) -> Vec<u8> {
    const NODE_BYTES: usize = 4_096;
    let fill_bytes = 1_500 + random.below(2_000) as usize;
    let mut bytes = Vec::new();
    while bytes.len() < fill_bytes {
        bytes.extend(random.bytes(4));
        bytes.extend(cbor_record(random));
    }
    bytes.truncate(fill_bytes);
    bytes.resize(NODE_BYTES, 0);
    bytes
}
