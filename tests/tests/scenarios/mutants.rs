//! What `scripts/mutants` breaks is there to be broken: a line whose code has moved on would test nothing.

use std::fs;
use std::path::Path;

#[test]
fn each_mutant_stands_once_in_the_code_and_changes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = fs::read_to_string(root.join("tests/mutants.txt")).expect("the list is there");
    let mut count = 0;
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // "\|" is a bar of the code.
        let bars = line.replace("\\|", "\0");
        let parts: Vec<String> = bars.split('|').map(|part| part.trim().replace('\0', "|")).collect();
        let [name, _, _, file, from, to] = parts.as_slice() else { panic!("six parts: {line}") };
        let code =
            fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
        assert_eq!(code.matches(from.as_str()).count(), 1, "{name}: {from}");
        assert_ne!(from, to, "{name}");
        count += 1;
    }
    assert!(count >= 15, "{count} mutants");
}
