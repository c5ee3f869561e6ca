//! Weights and limits that hold on every subnet, each with its unit and source. What differs between subnets,
//! prices above all, is in `profile`.
//!
//! Sources: *spec* is the Internet Computer interface specification 0.66, *docs* the developer
//! documentation ("Cycles costs", "Resource limits"), *code* the replica's source (dfinity/ic,
//! October 2025), *measured* the calibration cases in `tests/calibration`.

use wasmtime::OperatorCost;

/// Bytes of a wasm page.
pub(crate) const WASM_PAGE_BYTES: u64 = 65_536;

/// Globals that the platform's own instrumentation adds to a module and counts as its memory (measured:
/// the probe has one global of its own and is charged for eight).
pub(crate) const COUNTER_GLOBALS: u64 = 7;

/// Limits of execution and storage.
pub(crate) mod limits {
    /// Instructions of an update call, callback, heartbeat or timer (docs).
    pub(crate) const MESSAGE_INSTRUCTIONS: u64 = 40_000_000_000;
    /// Instructions of `install_code` in all its phases (docs).
    pub(crate) const INSTALL_INSTRUCTIONS: u64 = 300_000_000_000;
    /// Instructions of a query, and of a composite query with all the queries it makes (docs; code:
    /// `MAX_INSTRUCTIONS_PER_MESSAGE_WITHOUT_DTS`, `MAX_INSTRUCTIONS_PER_COMPOSITE_QUERY_CALL`).
    pub(crate) const QUERY_INSTRUCTIONS: u64 = 5_000_000_000;
    /// Instructions of `inspect_message` (docs).
    pub(crate) const INSPECT_INSTRUCTIONS: u64 = 200_000_000;
    /// Instructions that every query which a composite query calls counts besides its own (code:
    /// `INSTRUCTION_OVERHEAD_PER_QUERY_CALL`).
    pub(crate) const QUERY_CALL_OVERHEAD: u64 = 50_000_000;
    /// Calls deep that a composite query can go (code: `MAX_QUERY_CALL_DEPTH`).
    pub(crate) const QUERY_GRAPH_DEPTH: usize = 6;
    /// Instructions of a message or installation that a round executes at most; the rest follows in the next rounds
    /// (code: `MAX_INSTRUCTIONS_PER_SLICE`).
    pub(crate) const SLICE_INSTRUCTIONS: u64 = 2_000_000_000;
    /// Canisters that run at the same time (code: `NUMBER_OF_EXECUTION_THREADS`).
    pub(crate) const CORES: usize = 4;
    /// Instructions after which a core starts no further message in a round (code: `MAX_INSTRUCTIONS_PER_ROUND`, 7 B,
    /// less the 5 B of the longest message that is not sliced, and one).
    pub(crate) const ROUND_INSTRUCTIONS: u64 = 2_000_000_001;
    /// What a round counts for every canister that executed something (code: `INSTRUCTION_OVERHEAD_PER_CANISTER`).
    pub(crate) const ROUND_CANISTER_OVERHEAD: u64 = 8_000_000;
    /// What a turn of all canisters counts for each canister that there is (code:
    /// `INSTRUCTION_OVERHEAD_PER_CANISTER_FOR_FINALIZATION`).
    pub(crate) const ROUND_CANISTER_FINALIZATION: u64 = 12_000;
    /// What a round counts for every message besides its instructions (code:
    /// `INSTRUCTION_OVERHEAD_PER_EXECUTION`).
    pub(crate) const ROUND_MESSAGE_OVERHEAD: u64 = 2_000_000;

    /// Bytes of an ingress payload, and of a request to a canister on another subnet (docs).
    pub(crate) const INTER_CANISTER_PAYLOAD_BYTES: u64 = 2 * 1024 * 1024;
    /// Bytes of a request to a canister on the same subnet (docs).
    pub(crate) const SAME_SUBNET_PAYLOAD_BYTES: u64 = 10 * 1024 * 1024;
    /// Bytes of an update's response (docs).
    pub(crate) const RESPONSE_BYTES: u64 = 2 * 1024 * 1024;
    /// Bytes of a query's response (docs).
    pub(crate) const QUERY_RESPONSE_BYTES: u64 = 3 * 1024 * 1024;
    /// Requests under way from one canister to another (docs).
    pub(crate) const QUEUE_MESSAGES: usize = 500;
    /// Bytes of a method name that is called (code: `RequestInPrep`, the size of all exported names).
    pub(crate) const METHOD_NAME_BYTES: u64 = 20_000;
    /// Longest time a best-effort call waits, in seconds (spec, `call_with_best_effort_response`).
    pub(crate) const BEST_EFFORT_SECONDS: u32 = 300;

    /// Wasm pages of a 32-bit heap: 4 GiB (docs).
    pub(crate) const WASM32_HEAP_PAGES: u64 = 65_536;
    /// Wasm pages of a 64-bit heap: 6 GiB (docs).
    pub(crate) const WASM64_HEAP_PAGES: u64 = 98_304;
    /// Wasm pages of stable memory: 500 GiB (docs).
    pub(crate) const STABLE_PAGES: u64 = 500 * 16_384;
    /// Wasm pages that 32-bit stable memory calls can address: 4 GiB (spec).
    pub(crate) const STABLE32_PAGES: u64 = 65_536;
    /// Bytes of the stack of wasm code. The real server has 5 MiB; a frame that counts fuel takes a third
    /// more, so the same depth takes more (measured: case `overflow_stack`).
    pub(crate) const WASM_STACK_BYTES: usize = 5 * 1024 * 1024 / 3 * 4;

    /// Bytes of a module, uncompressed (docs).
    pub(crate) const MODULE_BYTES: u64 = 100 * 1024 * 1024;
    /// Bytes of the code section (docs).
    pub(crate) const CODE_SECTION_BYTES: u64 = 11 * 1024 * 1024;
    /// Functions of a module (docs).
    pub(crate) const MODULE_FUNCTIONS: usize = 50_000;
    /// Operators of a function (code: `WASM_FUNCTION_SIZE_LIMIT`).
    pub(crate) const FUNCTION_OPERATORS: u64 = 1_000_000;
    /// Complexity of a function, the sum over its operators (code: `WASM_FUNCTION_COMPLEXITY_LIMIT`).
    pub(crate) const FUNCTION_COMPLEXITY: u64 = 1_000_000;
    /// Elements of a table (code: `MAX_STORE_TABLE_ELEMENTS`).
    pub(crate) const TABLE_ELEMENTS: u64 = 1_000_000;
    /// Globals of a module (docs).
    pub(crate) const MODULE_GLOBALS: usize = 1_000;
    /// Data segments of a module are bounded by the decoder; exported custom sections (docs).
    pub(crate) const MODULE_CUSTOM_SECTIONS: usize = 16;
    /// Bytes of exported custom sections (docs).
    pub(crate) const MODULE_CUSTOM_SECTION_BYTES: u64 = 1024 * 1024;
    /// Exported functions named `canister_*` (docs).
    pub(crate) const MODULE_EXPORTED_FUNCTIONS: usize = 1_000;
    /// Bytes of all names of exported functions together (docs).
    pub(crate) const MODULE_EXPORT_NAME_BYTES: usize = 20_000;

    /// Chunks in a chunk store (spec, "Wasm chunk store").
    pub(crate) const CHUNK_STORE_CHUNKS: usize = 100;
    /// Bytes of a chunk in the chunk store (spec).
    pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;
    /// Snapshots of a canister (docs).
    pub(crate) const SNAPSHOTS: usize = 10;
    /// Bytes of a slice of a snapshot that is read; one that is written may be as large as its message (code:
    /// `MAX_SLICE_SIZE_BYTES`, measured).
    pub(crate) const SNAPSHOT_SLICE_BYTES: u64 = 2_000_000;
    /// Rounds from one checkpoint to the next on application subnets and on system subnets (code:
    /// `checkpoint_interval_length` of PocketIC's `StateMachine`, and one).
    pub(crate) const CHECKPOINT_ROUNDS: u64 = 500;
    /// The same, of system subnets.
    pub(crate) const SYSTEM_CHECKPOINT_ROUNDS: u64 = 200;
    /// Controllers of a canister (spec, "IC method update_settings").
    pub(crate) const CONTROLLERS: usize = 10;
    /// Principals of an `allowed_viewers` (spec, "IC method create_canister").
    pub(crate) const ALLOWED_VIEWERS: usize = 10;
    /// Bytes of certified data (spec).
    pub(crate) const CERTIFIED_DATA_BYTES: u64 = 32;
    /// Bytes of a canister's log (spec, "IC method fetch_canister_logs").
    pub(crate) const LOG_BYTES: usize = 4 * 1024;
    /// Changes kept in a canister's history (spec, "IC method canister_info").
    pub(crate) const HISTORY_CHANGES: usize = 20;
    /// Environment variables of a canister (docs).
    pub(crate) const ENVIRONMENT_VARIABLES: usize = 20;
    /// Bytes of an environment variable's name and of its value (docs).
    pub(crate) const ENVIRONMENT_VARIABLE_BYTES: usize = 128;
    /// Rounds after which a wait for an ingress message gives up (PocketIC's `MAX_TICKS`).
    pub(crate) const AWAIT_ROUNDS: u32 = 100;
    /// Percent of compute that all canisters of a subnet may have allocated (docs).
    pub(crate) const SUBNET_COMPUTE_PERCENT: u64 = 299;
    /// Nanoseconds after which `stop_canister` gives up (spec: 5 minutes).
    pub(crate) const STOP_TIMEOUT_NANOS: u64 = 300 * 1_000_000_000;
    /// Nanoseconds between two charges for storage (code: `duration_between_allocation_charges`).
    pub(crate) const STORAGE_CHARGE_NANOS: u64 = 10 * 1_000_000_000;
    /// Default freezing threshold in seconds (spec: 30 days).
    pub(crate) const FREEZING_THRESHOLD_SECONDS: u64 = 2_592_000;
    /// Default limit of the wasm heap in bytes (code: `DEFAULT_WASM_MEMORY_LIMIT`).
    pub(crate) const WASM_MEMORY_BYTES: u64 = 3 << 30;
    /// Default limit of reserved cycles (spec).
    pub(crate) const RESERVED_CYCLES: u128 = 5_000_000_000_000;
}

/// Instructions that the platform counts for its own work.
pub(crate) mod instructions {
    /// A page of 4 KiB that a message wrote, in heap or stable memory (code: `DEFAULT_DIRTY_PAGE_OVERHEAD`).
    pub(crate) const DIRTY_PAGE: u64 = 1_000;
    /// By what that is multiplied for a heap with 64-bit addresses (code: `WASM64_DIRTY_PAGE_OVERHEAD_MULTIPLIER`).
    pub(crate) const DIRTY_PAGE_WASM64_FACTOR: u64 = 4;
    /// Compilation, a wasm operator (code: `DEFAULT_COST_TO_COMPILE_WASM_INSTRUCTION`).
    pub(crate) const COMPILE_OPERATOR: u64 = 6_000;
    /// Operators that the platform's instrumentation adds to every module (measured: loading a snapshot of an
    /// empty module).
    pub(crate) const INJECTED_OPERATORS: u64 = 72;
    /// By what the compilation is divided when the subnet compiled the module before (measured: `reinstall probe`).
    pub(crate) const COMPILED_BEFORE_DIVISOR: u64 = 100;
    /// `memory.grow` weighs 300, the compiler's table holds bytes: the rest is counted by the host.
    pub(crate) const MEMORY_GROW_REMAINDER: u64 = 300 - 255;
}

/// Instructions of each wasm operator (code: `instruction_to_cost`), for the fuel counter of wasmtime.
/// Operators of 300 instructions (`table.grow`, `data.drop`, `elem.drop`) count 255, what a byte holds.
pub(crate) fn operator_weights() -> OperatorCost {
    let mut cost = OperatorCost::new();
    macro_rules! weigh {
        ($($weight:literal: $($operator:ident)*;)*) => { $($(cost.$operator = $weight;)*)* };
    }
    weigh! {
        1: Nop Drop Return Unreachable;
        2: If Br BrIf BrTable GlobalGet GlobalSet;
        3: ReturnCall;
        5: Call TableGet TableSet RefIsNull;
        10: CallIndirect I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU;
        20: MemorySize;
        60: ReturnCallIndirect;
        100: TableSize MemoryFill MemoryCopy MemoryInit TableFill TableCopy TableInit;
        130: RefFunc;
        255: MemoryGrow TableGrow DataDrop ElemDrop;
        // Floating point.
        2: F32Add F32Sub F32Mul F32Ceil F32Floor F32Trunc F32Nearest F32Copysign
           F64Add F64Sub F64Mul F64Ceil F64Floor F64Trunc F64Nearest;
        3: F32Div F64Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge
           F32ConvertI32S F64ConvertI64S F32ConvertI64S F64ConvertI32S;
        5: F64Div F32Sqrt;
        8: F64Sqrt;
        16: F64ConvertI32U F32ConvertI64U F32ConvertI32U F64ConvertI64U;
        18: F32Min F32Max F64Min F64Max;
        20: I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
            I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
            I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U
            I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U;
        // SIMD operators that weigh more than one.
        2: I8x16LtU I8x16GtU I16x8LtU I16x8GtU I32x4LtU I32x4GtU I8x16ShrU
           I16x8ExtAddPairwiseI8x16U I16x8Shl I16x8ShrS I16x8ShrU I16x8ExtMulHighI8x16S I16x8ExtMulHighI8x16U
           I32x4Shl I32x4ShrS I32x4ShrU I32x4Mul I32x4ExtMulLowI16x8S I32x4ExtMulHighI16x8S
           I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8U I64x2Shl I64x2ShrU
           F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F32x4Abs F32x4Neg F32x4Add F32x4Sub F32x4Mul
           F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F64x2Abs F64x2Neg F64x2Add F64x2Sub F64x2Mul
           I32x4TruncSatF32x4S I32x4TruncSatF64x2SZero;
        3: I8x16Shuffle I8x16Popcnt I8x16Shl I8x16ShrS I32x4ExtAddPairwiseI16x8U I64x2ShrS
           I32x4TruncSatF64x2UZero;
        4: I64x2Mul F32x4Min F32x4Max F64x2Min I32x4TruncSatF32x4U F32x4ConvertI32x4U;
        5: F32x4Sqrt F64x2Max;
        10: F32x4Div;
        12: F64x2Div;
        14: F64x2Sqrt;
    }
    cost
}

/// Instructions of memory operations on 64-bit heaps weigh two (code: `WasmMemoryType::Wasm64`).
pub(crate) fn operator_weights_wasm64() -> OperatorCost {
    let mut cost = operator_weights();
    macro_rules! weigh_two { ($($operator:ident)*) => { $(cost.$operator = 2;)* }; }
    weigh_two! {
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U I64Load8S I64Load8U
        I64Load16S I64Load16U I64Load32S I64Load32U I32Store I64Store F32Store F64Store I32Store8
        I32Store16 I64Store8 I64Store16 I64Store32
        V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U V128Load32x2S V128Load32x2U
        V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat V128Load32Zero V128Load64Zero
        V128Store V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane
        V128Store8Lane V128Store16Lane V128Store32Lane V128Store64Lane
    }
    cost
}
