//! The interface file says what is exported. After a change: `DECANT_WRITE_DID=1 cargo test -p decant-index`.

#[test]
fn the_interface_file_says_what_is_exported() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("index.did");
    let exported = super::__export_service();
    if std::env::var_os("DECANT_WRITE_DID").is_some() {
        std::fs::write(&path, format!("{exported}\n")).expect("the file can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the file is there");
    assert_eq!(written.trim(), exported.trim(), "write index.did anew: DECANT_WRITE_DID=1");
}

#[test]
fn every_method_is_in_the_table_of_those_who_may_call_it() {
    let differences = decant_kit::access::differences(super::access::METHODS, &super::__export_service());
    assert_eq!(differences, Vec::<String>::new());
}
