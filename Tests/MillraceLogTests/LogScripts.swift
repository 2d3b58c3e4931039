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
                  durable 541 0/C8:1
                > dump
                  segment 0000000000000000.seg log … offset 0 bytes 797 open first after 0/0
                    frame 0 length 20 state commits 0 changes 0 end 0/0:0
                      S 15 bytes
                    frame 100 length 192 relations commits 1 changes 2 end 0/64:2
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new 1 columns 6 bytes
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 2
                    frame 372 length 89 commits 1 changes 1 end 0/C8:1
                      B 0/C8 end 0/D0 xid 7 first 0
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 1
                > dump values
                  segment 0000000000000000.seg log … offset 0 bytes 797 open first after 0/0
                    frame 0 length 20 state commits 0 changes 0 end 0/0:0
                      S phase=streaming
                    frame 100 length 192 relations commits 1 changes 2 end 0/64:2
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new ('a')
                      I 1 0/1 new ('b')
                      C changes 2
                    frame 372 length 89 commits 1 changes 1 end 0/C8:1
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
                  durable 246 0/64:1
                > begin 200 b c d e f g h i j k l m
                > flush
                  durable 246 0/64:1
                > segments
                  0000000000000000.seg 0-818
                > reopen
                  last 0/64:1
                > segments
                  0000000000000000.seg 0-246
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
                  durable 415 0/12C:1
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
                  durable 1235 0/12C:1
                > segments
                  0000000000000000.seg 0-333 sealed
                  000000000000014d.seg 333-822 sealed
                  0000000000000336.seg 822-1235
                > dump
                  segment 0000000000000000.seg log … offset 0 bytes 717 sealed first after 0/0
                    frame 0 length 7 state commits 0 changes 0 end 0/0:0
                      S 2 bytes
                    frame 87 length 166 relations commits 1 changes 1 end 0/64:1
                      B 0/64 end 0/6C xid 7 first 0
                      R 1 public.t1 (v1 text)
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 1
                  segment 000000000000014d.seg log … offset 333 bytes 873 sealed spooled after 0/64
                    transaction 0/C8 end 0/D0 xid 9 first 0
                    frame 333 length 76 ends-inside spooled commits 0 changes 1 end 0/0:1
                      B 0/0 end 0/0 xid 9 first 0
                      I 1 0/1 new 1 columns 6 bytes
                    frame 489 length 89 begins-inside spooled commits 1 changes 1 end 0/0:2
                      B 0/0 end 0/0 xid 9 first 1 continued
                      I 1 0/1 new 1 columns 6 bytes
                      C changes 2
                    frame 658 length 84 relations state restated spooled preamble
                      S 2 bytes
                      R 1 public.t1 (v1 text)
                  segment 0000000000000336.seg log … offset 822 bytes 669 open after 0/C8
                    frame 822 length 7 state restated
                      S 2 bytes
                    frame 909 length 77 relations restated
                      R 1 public.t1 (v1 text)
                    frame 1066 length 89 commits 1 changes 1 end 0/12C:1
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
                  freed 1590 bytes
                > segments
                  0000000000000336.seg 822-1235
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
                  durable 334 0/64:1
                > reset
                > segments
                  000000000000014f.seg 335-335
                > reopen
                  last none
                > append 50 define n
                > flush
                  durable 581 0/32:1
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
