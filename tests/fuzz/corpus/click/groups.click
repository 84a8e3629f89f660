elementclass F { $a, KEY $b, __REST__ $r | input -> Print("$a${b-x}${r[1]}") => ( [0-] -> output ) }
# 9 "else"
define($x ${y- "z"}, $y ${x[0]})
c :: Classifier(00/01, -) => ( input -> output; input [1] -> Paint(1) -> output ), (->)
 -> F($x, KEY \<00 /* 1 */>, 1, 2 // it's
) -> Discard; Idle -> c [2];
