;; expect: uses tail calls, which are not supported (compile with -mno-tail-call)
;; options: --enable-tail-call
(module (func $f (export "_start") (return_call $f)))
