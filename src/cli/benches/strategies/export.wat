;; What a team builds into its canister to carry the state out and in: pieces of stable memory, where the state was saved.
(module
  (import "ic0" "msg_arg_data_size" (func $arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "stable64_size" (func $pages (result i64)))
  (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
  (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
  (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
  (memory 64)
  ;; Offset and size in bytes, each u64; answers the piece.
  (func (export "canister_query get_state")
    (call $arg_copy (i32.const 0) (i32.const 0) (i32.const 16))
    (call $read (i64.const 16) (i64.load (i32.const 0)) (i64.load (i32.const 8)))
    (call $append (i32.const 16) (i32.load (i32.const 8)))
    (call $reply))
  ;; Offset in bytes, u64, and the piece behind it.
  (func (export "canister_update set_state") (local $size i64) (local $missing i64)
    (local.set $size (i64.extend_i32_u (i32.sub (call $arg_size) (i32.const 8))))
    (call $arg_copy (i32.const 0) (i32.const 0) (call $arg_size))
    (local.set $missing
      (i64.sub
        (i64.shr_u
          (i64.add (i64.add (i64.load (i32.const 0)) (local.get $size)) (i64.const 0xffff))
          (i64.const 16))
        (call $pages)))
    (if (i64.gt_s (local.get $missing) (i64.const 0)) (then (drop (call $grow (local.get $missing)))))
    (call $write (i64.load (i32.const 0)) (i64.const 8) (local.get $size))
    (call $reply)))
