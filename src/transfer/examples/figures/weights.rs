//! What operators weigh on the Internet Computer (dfinity/ic, `instruction_to_cost`), as far as compilers
//! write them: all that are not listed weigh 1. wasmtime itself adds a unit for each byte of a bulk
//! operation, as the Internet Computer does.

use wasmtime::OperatorCost;

/// The weights.
pub(crate) fn operator_weights() -> OperatorCost {
    let mut cost = OperatorCost::new();
    macro_rules! weigh {
        ($($weight:literal: $($operator:ident)*;)*) => { $($(cost.$operator = $weight;)*)* };
    }
    weigh! {
        1: Nop Drop Return Unreachable;
        2: If Br BrIf BrTable GlobalGet GlobalSet;
        5: Call;
        10: CallIndirect I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU;
        20: MemorySize;
        100: MemoryFill MemoryCopy MemoryInit;
        255: MemoryGrow;
        2: I8x16LtU I8x16GtU I16x8LtU I16x8GtU I32x4LtU I32x4GtU I32x4Shl I32x4ShrS I32x4ShrU I32x4Mul
           I64x2Shl I64x2ShrU;
        3: I8x16Shuffle I8x16Shl I8x16ShrS I64x2ShrS;
        4: I64x2Mul;
    }
    cost
}
