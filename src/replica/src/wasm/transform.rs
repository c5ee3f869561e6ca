//! Rewrites a checked module into the form that the executor instantiates.
//!
//! Its mutable globals and its memory get exported, so that a message's state can be taken out and put
//! back. Its active data segments become empty: the heap is not filled on instantiation but mapped from
//! pages. Its start function is exported instead of run, since it runs when code is installed, not before
//! every message. Custom sections are left out.

use super::inspect::Inspection;
use wasm_encoder::{DataSection, ExportKind, ExportSection, RawSection, SectionId};
use wasmparser::{BinaryReaderError, DataKind, ExternalKind, Parser, Payload};

/// Export name of the heap.
pub(crate) const MEMORY: &str = "decant memory";
/// Export name of the table that callbacks are in.
pub(crate) const TABLE: &str = "decant table";
/// Export name of the start function.
pub(crate) const START: &str = "decant start";

/// Export name of a global.
pub(crate) fn global_name(index: u32) -> String {
    format!("decant global {index}")
}

/// The rewritten module.
pub(crate) fn transform(wasm: &[u8], inspection: &Inspection) -> Result<Vec<u8>, BinaryReaderError> {
    let mut module = wasm_encoder::Module::new();
    let mut has_exports = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        // The export section has its place in the order; a module without one gets it there.
        if !has_exports && id >= SectionId::Export as u8 {
            has_exports = true;
            module.section(&exports(&payload, inspection)?);
        }
        match payload {
            Payload::ExportSection(_) | Payload::StartSection { .. } | Payload::CustomSection(_) => {}
            Payload::DataSection(section) => {
                module.section(&data(section)?);
            }
            _ => {
                module.section(&RawSection { id, data: &wasm[range] });
            }
        }
    }
    if !has_exports {
        module.section(&exports(&Payload::End(0), inspection)?);
    }
    Ok(module.finish())
}

/// The module's own exports of functions and tables, if `payload` is its export section, and ours.
fn exports(payload: &Payload<'_>, inspection: &Inspection) -> Result<ExportSection, BinaryReaderError> {
    let mut exports = ExportSection::new();
    if let Payload::ExportSection(section) = payload {
        for export in section.clone() {
            let export = export?;
            if export.kind == ExternalKind::Func {
                exports.export(export.name, ExportKind::Func, export.index);
            }
        }
    }
    for global in &inspection.globals {
        exports.export(&global_name(global.index), ExportKind::Global, global.index);
    }
    if inspection.initial_heap_pages.is_some() {
        exports.export(MEMORY, ExportKind::Memory, 0);
    }
    if inspection.has_table {
        exports.export(TABLE, ExportKind::Table, 0);
    }
    if let Some(start) = inspection.start {
        exports.export(START, ExportKind::Func, start);
    }
    Ok(exports)
}

/// All segments, the active ones empty: their bytes are in [`Inspection::data`].
fn data(section: wasmparser::DataSectionReader<'_>) -> Result<DataSection, BinaryReaderError> {
    let mut data = DataSection::new();
    for segment in section {
        let segment = segment?;
        match segment.kind {
            DataKind::Active { .. } => data.passive([]),
            DataKind::Passive => data.passive(segment.data.iter().copied()),
        };
    }
    Ok(data)
}
