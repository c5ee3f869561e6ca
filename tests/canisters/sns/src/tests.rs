//! The interface file says what is exported. After a change: `DECANT_WRITE_DID=1 cargo test -p decant-test-sns`.

#[test]
fn the_interface_file_says_what_is_exported() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sns.did");
    let exported = super::__export_service();
    if std::env::var_os("DECANT_WRITE_DID").is_some() {
        std::fs::write(path, format!("{exported}\n")).expect("the file can be written");
    }
    let written = std::fs::read_to_string(path).expect("the file is there");
    assert_eq!(written.trim(), exported.trim(), "write sns.did anew: DECANT_WRITE_DID=1");
}
