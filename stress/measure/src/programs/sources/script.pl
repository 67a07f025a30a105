use strict; use warnings;
my (%count, @words);
for my $i (1 .. 60000) {
    my $word = join "-", map { chr(97 + ($i * $_ * 31) % 26) } 1 .. 1 + $i % 9;
    push @words, $word;
    $count{$word}++;
    $count{"$word of $i"} = { number => $i, list => [1 .. $i % 5] };
}
my @sorted = sort { "$count{$b}" cmp "$count{$a}" || $a cmp $b }
    grep { !ref $count{$_} } keys %count;
print "$_ $count{$_}\n" for @sorted[0 .. 20];
my $text = join " ", @words;
my $found = () = $text =~ /\b[a-m]-[n-z]\b/g;
(my $changed = $text) =~ s/(\w)-(\w)/$2$1/g;
print scalar(@sorted), " $found ", length $changed, "\n";
my $child = fork // die;
if (!$child) { my @list = map { "x" x $_ } 1 .. 2000; exit(@list == 2000 ? 7 : 1); }
waitpid $child, 0;
print "child ", $? >> 8, ", shell ", `echo shell`;
