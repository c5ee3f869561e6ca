//! The interface files say what is exported. After a change: `DECANT_WRITE_DID=1 cargo test -p decant-user`,
//! once without features and once with `--features kit`.

#[test]
fn the_interface_file_says_what_is_exported() {
    let file = if cfg!(feature = "kit") { "user_kit.did" } else { "user.did" };
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let exported = super::__export_service();
    if std::env::var_os("DECANT_WRITE_DID").is_some() {
        std::fs::write(&path, format!("{exported}\n")).expect("the file can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the file is there");
    assert_eq!(
        without_comments(&written),
        without_comments(&exported),
        "write {file} anew: DECANT_WRITE_DID=1"
    );
}

/// What counts: a comment that was changed elsewhere is not a change of the interface.
fn without_comments(interface: &str) -> Vec<&str> {
    interface.lines().filter(|line| !line.trim_start().starts_with("//")).collect()
}
