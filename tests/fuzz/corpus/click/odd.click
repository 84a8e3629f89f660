# 3 "x"
elementclass A { $a, K $b, __REST__ $r | input [0-3] => { -> Null -> } -> output || ... } define($a "\<00>") x, y :: Idle; x => ([1] -> ;) require(library x) Print("\x41", ${a}) a->[2]b