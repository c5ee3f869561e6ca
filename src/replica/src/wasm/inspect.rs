//! What a module imports, exports and contains, and whether the platform takes it.

use super::WasmError;
use super::complexity::FunctionWeight;
use crate::costs::limits;
use crate::system_api::table;
use std::collections::{BTreeMap, BTreeSet};
use wasmparser::{DataKind, ExternalKind, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// The kinds of methods that a canister exports for others to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MethodKind {
    /// `canister_update`
    Update,
    /// `canister_query`
    Query,
    /// `canister_composite_query`
    CompositeQuery,
}

/// A custom section that `canister_metadata` can read.
#[derive(Debug, Clone)]
pub(crate) struct CustomSection {
    /// Whether everybody may read it.
    pub(crate) is_public: bool,
    pub(crate) content: Box<[u8]>,
}

/// The section by which a module says that its state is in its heap and survives upgrades there (code:
/// `ENHANCED_ORTHOGONAL_PERSISTENCE_SECTION`).
const ORTHOGONAL_PERSISTENCE_SECTION: &str = "enhanced-orthogonal-persistence";

/// What is known of a module without running it.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    /// Exported methods by name.
    pub(crate) methods: BTreeMap<String, MethodKind>,
    /// Exported system functions (`canister_init`, `canister_heartbeat`, …).
    pub(crate) system_functions: BTreeSet<String>,
    /// Whether `canister_heartbeat` is among them: asked after every message.
    pub(crate) has_heartbeat: bool,
    /// Whether `canister_global_timer` is.
    pub(crate) has_timer: bool,
    /// Whether the heap has 64-bit addresses.
    pub(crate) is_wasm64: bool,
    /// Pages that the heap begins with; `None` without a memory.
    pub(crate) initial_heap_pages: Option<u64>,
    /// Every global that is kept between messages or shown in snapshots.
    pub(crate) globals: Vec<GlobalInfo>,
    /// Whether there is a table, in which callbacks are found.
    pub(crate) has_table: bool,
    /// Index of the start function.
    pub(crate) start: Option<u32>,
    /// Active data segments: offset and bytes.
    pub(crate) data: Vec<(u64, Vec<u8>)>,
    /// Operators in all functions once the platform has instrumented them: what compilation is charged by.
    pub(crate) operator_count: u64,
    /// Whether code drops segments, which the platform has again before every message.
    pub(crate) drops_segments: bool,
    /// Custom sections named `icp:public …` or `icp:private …`, by what follows.
    pub(crate) custom_sections: BTreeMap<String, CustomSection>,
}

impl Inspection {
    /// Bytes of the names and contents of all custom sections.
    pub(crate) fn custom_section_bytes(&self) -> u64 {
        self.custom_sections.iter().map(|(name, section)| (name.len() + section.content.len()) as u64).sum()
    }

    /// Whether the state is in the heap and must be kept there by upgrades.
    pub(crate) fn has_orthogonal_persistence(&self) -> bool {
        self.custom_sections.contains_key(ORTHOGONAL_PERSISTENCE_SECTION)
    }
}

/// A global of a module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GlobalInfo {
    /// Its index.
    pub(crate) index: u32,
    /// Whether code can change it.
    pub(crate) is_mutable: bool,
}

/// The proposals that the platform enables (code: `wasmtime_embedder::WasmtimeEmbedder::initial_wasmtime_config`).
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::MEMORY64
        | WasmFeatures::FLOATS
}

/// Names that the platform's instrumentation takes for itself (code: `RESERVED_SYMBOLS`).
const RESERVED_EXPORTS: [&str; 6] = [
    "canister counter_instructions",
    "canister_start",
    "canister counter_dirty_pages",
    "canister counter_accessed_pages",
    "stable_memory",
    "stable_bytemap_memory",
];

/// System functions that a canister may export.
const SYSTEM_FUNCTIONS: [&str; 7] = [
    "canister_init",
    "canister_inspect_message",
    "canister_pre_upgrade",
    "canister_post_upgrade",
    "canister_heartbeat",
    "canister_global_timer",
    "canister_on_low_wasm_memory",
];

/// Prefixes of exported methods.
const METHOD_PREFIXES: [(&str, MethodKind); 3] = [
    ("canister_update ", MethodKind::Update),
    ("canister_query ", MethodKind::Query),
    ("canister_composite_query ", MethodKind::CompositeQuery),
];

/// Reads and checks a plain module.
///
/// Errors: [`WasmError`] with the platform's words where a module is refused.
pub(crate) fn inspect(wasm: &[u8]) -> Result<Inspection, WasmError> {
    Validator::new_with_features(features()).validate_all(wasm).map_err(|error| {
        WasmError::Validation(format!("wasmtime::Module::validate() failed with {error}"))
    })?;
    let mut result = Inspection::default();
    let mut collector = Collector::default();
    for payload in Parser::new(0).parse_all(wasm) {
        collector.section(payload.map_err(invalid)?, &mut result)?;
    }
    collector.finish(&mut result)?;
    Ok(result)
}

fn invalid(error: wasmparser::BinaryReaderError) -> WasmError {
    WasmError::Validation(error.to_string())
}

#[derive(Default)]
struct Collector {
    types: Vec<wasmparser::FuncType>,
    imported_functions: u32,
    function_types: Vec<u32>,
    /// Whether each global is mutable.
    globals: Vec<bool>,
    exported_globals: BTreeSet<u32>,
    exports: Vec<(String, u32)>,
    imports: Vec<(String, String, u32)>,
    functions_read: usize,
}

impl Collector {
    fn section(&mut self, payload: Payload<'_>, result: &mut Inspection) -> Result<(), WasmError> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty.map_err(invalid)?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    let TypeRef::Func(ty) = import.ty else {
                        return Err(WasmError::Imports(format!(
                            "Only function imports are allowed, but '{}' is imported from '{}'",
                            import.name, import.module
                        )));
                    };
                    self.imported_functions += 1;
                    self.function_types.push(ty);
                    self.imports.push((import.module.to_owned(), import.name.to_owned(), ty));
                }
            }
            Payload::FunctionSection(section) => {
                let count = section.count() as usize;
                if count > limits::MODULE_FUNCTIONS {
                    return Err(WasmError::Functions(format!(
                        "Number of defined functions: {count} exceeds the maximum: {}",
                        limits::MODULE_FUNCTIONS
                    )));
                }
                for ty in section {
                    self.function_types.push(ty.map_err(invalid)?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(invalid)?;
                    result.is_wasm64 = memory.memory64;
                    result.initial_heap_pages = Some(memory.initial);
                }
            }
            Payload::TableSection(section) => {
                if section.count() > 1 {
                    return Err(WasmError::Tables(format!(
                        "{} tables, at most one is possible",
                        section.count()
                    )));
                }
                result.has_table = section.count() > 0;
                for table in section {
                    let elements = table.map_err(invalid)?.ty.initial;
                    if elements > limits::TABLE_ELEMENTS {
                        return Err(WasmError::Tables(format!(
                            "A table of {elements} elements exceeds the maximum of {}",
                            limits::TABLE_ELEMENTS
                        )));
                    }
                }
            }
            Payload::GlobalSection(section) => {
                if section.count() as usize > limits::MODULE_GLOBALS {
                    return Err(WasmError::Globals(format!(
                        "Number of defined globals: {} exceeds the maximum: {}",
                        section.count(),
                        limits::MODULE_GLOBALS
                    )));
                }
                for global in section {
                    let ty = global.map_err(invalid)?.ty;
                    self.globals.push(ty.mutable);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(invalid)?;
                    if RESERVED_EXPORTS.contains(&export.name) {
                        return Err(WasmError::Exports(format!(
                            "Exporting reserved symbol {} not allowed.",
                            export.name
                        )));
                    }
                    match export.kind {
                        ExternalKind::Func => self.exports.push((export.name.to_owned(), export.index)),
                        ExternalKind::Global => {
                            self.exported_globals.insert(export.index);
                        }
                        _ => {}
                    }
                }
            }
            Payload::StartSection { func, .. } => result.start = Some(func),
            Payload::DataSection(section) => {
                for segment in section {
                    let segment = segment.map_err(invalid)?;
                    if let DataKind::Active { offset_expr, .. } = segment.kind {
                        result.data.push((constant_offset(&offset_expr)?, segment.data.to_vec()));
                    }
                }
            }
            Payload::CodeSectionStart { size, .. } if u64::from(size) > limits::CODE_SECTION_BYTES => {
                return Err(WasmError::CodeSection(format!(
                    "Code section of {size} bytes exceeds the maximum of {} bytes",
                    limits::CODE_SECTION_BYTES
                )));
            }
            Payload::CodeSectionEntry(body) => {
                let index = self.imported_functions as usize + self.functions_read;
                self.functions_read += 1;
                let mut counter = OperatorCounter::default();
                let mut weight = FunctionWeight::default();
                let mut reader = body.get_operators_reader().map_err(invalid)?;
                while !reader.eof() {
                    let operator = reader.read().map_err(invalid)?;
                    counter.count(&operator, result.is_wasm64);
                    weight.add(index, &operator)?;
                    result.drops_segments |=
                        matches!(operator, Operator::ElemDrop { .. } | Operator::DataDrop { .. });
                }
                weight.check(index)?;
                result.operator_count += counter.operators;
            }
            Payload::CustomSection(section) if section.name().starts_with("icp:") => {
                let (is_public, name) = metadata_name(section.name())?;
                let content = section.data().into();
                let section = CustomSection { is_public, content };
                if result.custom_sections.insert(name.to_owned(), section).is_some() {
                    return Err(WasmError::CustomSections(format!(
                        "Invalid custom section: name {name} already exists"
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, result: &mut Inspection) -> Result<(), WasmError> {
        self.check_imports(result.is_wasm64)?;
        result.operator_count +=
            self.imports.iter().map(|(_, name, _)| stable_memory_operators(name)).sum::<u64>();
        self.collect_exports(result)?;
        check_custom_sections(result)?;
        let exported = &self.exported_globals;
        result.globals = (0..)
            .zip(&self.globals)
            .filter(|(index, mutable)| **mutable || exported.contains(index))
            .map(|(index, mutable)| GlobalInfo { index, is_mutable: *mutable })
            .collect();
        Ok(())
    }

    fn function_type(&self, function: u32) -> Option<&wasmparser::FuncType> {
        self.types.get(*self.function_types.get(function as usize)? as usize)
    }

    fn check_imports(&self, is_wasm64: bool) -> Result<(), WasmError> {
        for (module, name, ty) in &self.imports {
            let known = (module == "ic0").then(|| table::find(name, is_wasm64)).flatten();
            let Some(known) = known else {
                return Err(WasmError::Imports(format!(
                    "Module imports function '{name}' from '{module}' that is not exported by the runtime."
                )));
            };
            let expected = known.signature(is_wasm64);
            let is_equal = self.types.get(*ty as usize).is_some_and(|ty| {
                ty.params() == expected.0.as_slice() && ty.results() == expected.1.as_slice()
            });
            if !is_equal {
                return Err(WasmError::Imports(format!(
                    "Function import '{name}' from '{module}' has another signature than the runtime's: \
                     expected {:?} -> {:?}",
                    expected.0, expected.1
                )));
            }
        }
        Ok(())
    }

    fn collect_exports(&self, result: &mut Inspection) -> Result<(), WasmError> {
        let mut name_bytes = 0;
        let mut count = 0;
        for (name, index) in &self.exports {
            if !name.starts_with("canister_") {
                continue;
            }
            let method = METHOD_PREFIXES.iter().find_map(|(prefix, kind)| {
                name.strip_prefix(prefix).map(|method| (method.to_owned(), *kind))
            });
            if let Some((method, kind)) = method {
                count += 1;
                name_bytes += method.len();
                if result.methods.insert(method.clone(), kind).is_some() {
                    return Err(WasmError::Exports(format!("Duplicate function '{method}' exported.")));
                }
            } else if SYSTEM_FUNCTIONS.contains(&name.as_str()) {
                result.has_heartbeat |= name == "canister_heartbeat";
                result.has_timer |= name == "canister_global_timer";
                result.system_functions.insert(name.clone());
            } else {
                return Err(WasmError::Exports(format!(
                    "Exported function '{name}' is neither a method nor a system function."
                )));
            }
            let plain = self
                .function_type(*index)
                .is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty());
            if !plain {
                return Err(WasmError::Exports(format!(
                    "Exported function '{name}' must take and answer nothing."
                )));
            }
        }
        if count > limits::MODULE_EXPORTED_FUNCTIONS {
            return Err(WasmError::Exports(format!(
                "The number of exported functions called `canister_update <name>`, `canister_query <name>`, or \
                 `canister_composite_query <name>` exceeds {}.",
                limits::MODULE_EXPORTED_FUNCTIONS
            )));
        }
        if name_bytes > limits::MODULE_EXPORT_NAME_BYTES {
            return Err(WasmError::Exports(format!(
                "The sum of `<name>` lengths in exported functions exceeds {}.",
                limits::MODULE_EXPORT_NAME_BYTES
            )));
        }
        Ok(())
    }
}

/// Operators of the wasm function with which the platform replaces an import for stable memory. Measured is the
/// sum of the four 64-bit ones, 251; it is divided by the length of their code.
fn stable_memory_operators(name: &str) -> u64 {
    match name {
        "stable_size" | "stable64_size" => 3,
        "stable_grow" | "stable64_grow" => 18,
        "stable_read" | "stable64_read" => 130,
        "stable_write" | "stable64_write" => 100,
        _ => 0,
    }
}

/// Counts the operators of a function as the platform does: after its own instrumentation, which adds some at
/// every place where control flow splits or joins (code: `inject_metering`).
struct OperatorCounter {
    operators: u64,
    /// Whether the block so far has an operator with a weight.
    has_weight: bool,
    /// Whether the block begins a function or a loop, where the counter is also checked.
    is_reentrant: bool,
}

impl Default for OperatorCounter {
    fn default() -> Self {
        Self { operators: 0, has_weight: true, is_reentrant: true }
    }
}

impl OperatorCounter {
    /// Operators that take a block's weight from the counter.
    const SUBTRACTION: u64 = 4;
    /// Operators that also check whether it ran out.
    const SUBTRACTION_AND_CHECK: u64 = 10;

    fn count(&mut self, operator: &Operator<'_>, is_wasm64: bool) {
        use Operator as O;
        self.operators += 1;
        let is_free = matches!(operator, O::Block { .. } | O::Else | O::End | O::Loop { .. });
        self.has_weight |= !is_free;
        match operator {
            O::Loop { .. } => self.end_block(true),
            O::If { .. }
            | O::Else
            | O::Br { .. }
            | O::BrIf { .. }
            | O::BrTable { .. }
            | O::End
            | O::Return
            | O::Unreachable
            | O::ReturnCall { .. }
            | O::ReturnCallIndirect { .. } => self.end_block(false),
            // The number of bytes is counted too: a conversion, a call and a conversion back.
            O::MemoryFill { .. } | O::MemoryCopy { .. } | O::TableCopy { .. } | O::TableFill { .. } => {
                self.operators += if is_wasm64 { 1 } else { 3 };
            }
            O::MemoryInit { .. } | O::TableInit { .. } => self.operators += 3,
            O::MemoryGrow { .. } => self.operators += 3,
            _ => {}
        }
    }

    fn end_block(&mut self, next_is_reentrant: bool) {
        if self.is_reentrant {
            self.operators += Self::SUBTRACTION_AND_CHECK;
        } else if self.has_weight {
            self.operators += Self::SUBTRACTION;
        }
        self.is_reentrant = next_is_reentrant;
        self.has_weight = false;
    }
}

/// Whether metadata is public, and its name, from the name of its custom section (spec, "Canister module
/// format").
fn metadata_name(section: &str) -> Result<(bool, &str), WasmError> {
    let public = section.strip_prefix("icp:public ").map(|name| (true, name));
    public.or_else(|| section.strip_prefix("icp:private ").map(|name| (false, name))).ok_or_else(|| {
        WasmError::CustomSections(format!(
            "Invalid custom section: Custom section '{section}' must be public or private"
        ))
    })
}

fn check_custom_sections(inspection: &Inspection) -> Result<(), WasmError> {
    let (count, bytes) = (inspection.custom_sections.len(), inspection.custom_section_bytes());
    if count > limits::MODULE_CUSTOM_SECTIONS || bytes > limits::MODULE_CUSTOM_SECTION_BYTES {
        return Err(WasmError::CustomSections(format!(
            "{count} custom sections of {bytes} bytes exceed the maximum of {} sections and {} bytes",
            limits::MODULE_CUSTOM_SECTIONS,
            limits::MODULE_CUSTOM_SECTION_BYTES
        )));
    }
    Ok(())
}

/// The offset of an active segment: the platform has no imported globals, so it is a constant.
fn constant_offset(expression: &wasmparser::ConstExpr<'_>) -> Result<u64, WasmError> {
    match expression.get_operators_reader().read().map_err(invalid)? {
        Operator::I32Const { value } => Ok(u64::from(value as u32)),
        Operator::I64Const { value } => Ok(value as u64),
        _ => Err(WasmError::Data("Segment offset expressions must be constants".to_owned())),
    }
}
