/// The scripts of `ScriptTests`, with what they print.
enum LogScripts {
    static let all: [LogScript] = [
        LogScript(
            name: "append, flush, dump",
            expected: """
                > state phase=streaming
                > append 100 define a b
                > append 200 c
                > flush
                  durable 539 0/C8:1
                > dump
                  segment 0000000000000000.seg log … offset 0 bytes 795 open first after 0/0
                    frame 0 length 20 state commits 0 changes 0 end 0/0:0
                      S 15 bytes
                    frame 100 length 190 relations commits 1 changes 2 end 0/64:2
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new 1 columns 6 bytes
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 2
                    frame 370 length 89 commits 1 changes 1 end 0/C8:1
                      B 0/C8 end 0/D0 xid 7 first 0
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 1
                > dump values
                  segment 0000000000000000.seg log … offset 0 bytes 795 open first after 0/0
                    frame 0 length 20 state commits 0 changes 0 end 0/0:0
                      S phase=streaming
                    frame 100 length 190 relations commits 1 changes 2 end 0/64:2
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new ('a')
                      I 1 0/1 new ('b')
                      C changes 2
                    frame 370 length 89 commits 1 changes 1 end 0/C8:1
                      B 0/C8 end 0/D0 xid 7 first 0
                      I 1 0/1 new ('c')
                      C changes 1
                > read
                  S phase=streaming
                  B 0/64 first 0
                  R public.t1
                  I 1 a
                  I 1 b
                  C 2
                  B 0/C8 first 0
                  I 1 c
                  C 1
                > verify
                  0 findings, 1 segments, 3 frames, 2 transactions, 3 changes, last 0/C8
                """),
        LogScript(
            name: "a transaction without its end is cut at reopen",
            expected: """
                > append 100 define a
                > flush
                  durable 244 0/64:1
                > begin 200 b c d e f g h i j k l m
                > flush
                  durable 244 0/64:1
                > segments
                  0000000000000000.seg 0-816
                > reopen
                  last 0/64:1
                > segments
                  0000000000000000.seg 0-244
                > read
                  B 0/64 first 0
                  R public.t1
                  I 1 a
                  C 1
                """),
        LogScript(
            name: "roll back, go on",
            expected: """
                > append 100 define a
                > begin 200 b c
                > rollback
                > append 300 d
                > flush
                  durable 413 0/12C:1
                > read
                  B 0/64 first 0
                  R public.t1
                  I 1 a
                  C 1
                  B 0/12C first 0
                  I 1 d
                  C 1
                > crash
                  last 0/12C:1
                """),
        LogScript(
            name: "a spooled transaction becomes a segment",
            expected: """
                > state s1
                > append 100 define a
                > spool 200 x y
                > append 300 b
                > flush
                  durable 1229 0/12C:1
                > segments
                  0000000000000000.seg 0-331 sealed
                  000000000000014b.seg 331-818 sealed
                  0000000000000332.seg 818-1229
                > dump
                  segment 0000000000000000.seg log … offset 0 bytes 715 sealed first after 0/0
                    frame 0 length 7 state commits 0 changes 0 end 0/0:0
                      S 2 bytes
                    frame 87 length 164 relations commits 1 changes 1 end 0/64:1
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 1
                  segment 000000000000014b.seg log … offset 331 bytes 871 sealed spooled after 0/64
                    transaction 0/C8 end 0/D0 xid 9 first 0
                    frame 331 length 76 ends-inside spooled commits 0 changes 1 end 0/0:1
                      B 0/0 end 0/0 xid 9 first 0
                      I 1 0/1 new 1 columns 6 bytes
                    frame 487 length 89 begins-inside spooled commits 1 changes 1 end 0/0:2
                      B 0/0 end 0/0 xid 9 first 1 continued
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 2
                    frame 656 length 82 relations state restated spooled preamble
                      S 2 bytes
                      R 1 public.t1 (v1 text)
                  segment 0000000000000332.seg log … offset 818 bytes 667 open after 0/C8
                    frame 818 length 7 state restated
                      S 2 bytes
                    frame 905 length 75 relations restated
                      R 1 public.t1 (v1 text)
                    frame 1060 length 89 commits 1 changes 1 end 0/12C:1
                      B 0/12C end 0/134 xid 7 first 0
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 1
                > read
                  S s1
                  B 0/64 first 0
                  R public.t1
                  I 1 a
                  C 1
                  B 0/C8 first 0
                  I 1 x
                  B 0/C8 first 1 continued
                  I 1 y
                  C 2
                  B 0/12C first 0
                  I 1 b
                  C 1
                > trim
                  freed 1586 bytes
                > segments
                  0000000000000332.seg 818-1229
                > crash
                  last 0/12C:1 state s1
                > read
                  B 0/12C first 0
                  I 1 b
                  C 1
                > verify
                  0 findings, 1 segments, 3 frames, 1 transactions, 1 changes, last 0/12C
                """),
        LogScript(
            name: "reset",
            expected: """
                > state old
                > append 100 define a
                > flush
                  durable 332 0/64:1
                > reset
                > segments
                  000000000000014d.seg 333-333
                > reopen
                  last none
                > append 50 define n
                > flush
                  durable 577 0/32:1
                > read
                  B 0/32 first 0
                  R public.t1
                  I 1 n
                  C 1
                > verify
                  0 findings, 1 segments, 1 frames, 1 transactions, 1 changes, last 0/32
                """),
    ]
}
