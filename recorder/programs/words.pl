# Reads lines, takes them apart by regular expressions, counts words, sorts, and prints a report:
# what perl is mostly used for. The lines are made up by a linear congruence.
use strict;
use warnings;

my @words = qw(stone wall dry field cap hearting through batter course footing cheek wedge);
my $state = 20;

sub draw {
    my ($below) = @_;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return int($state / 65536) % $below;
}

my @lines;
for my $number (1 .. 1500) {
    my @said = map { $words[draw(scalar @words)] . (draw(3) ? '' : draw(40)) } 0 .. 2 + draw(8);
    push @lines, sprintf('%04d-%02d-%02d quarry%d: "%s" mass=%d', 1900 + draw(120), 1 + draw(12),
        1 + draw(28), draw(9), join(' ', @said), draw(5000));
}

my (%count, %mass, %first);
for my $line (@lines) {
    my ($date, $quarry, $text, $mass) = $line =~ /^(\S+) (\w+): "([^"]*)" mass=(\d+)$/
        or die "cannot read: $line\n";
    my ($year) = split /-/, $date;
    push @{$mass{$quarry}{$year}}, $mass;
    for my $word (split ' ', $text) {
        $count{lc $word}++;
        $first{$word} //= $date;
    }
    (my $shouted = $text) =~ s/(\w+)/ucfirst $1/ge;
    $first{$shouted} = length $shouted;
    delete $first{$shouted} if draw(2);
}

for my $word ((sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 19]) {
    printf "%-12s %5d %s\n", $word, $count{$word}, $first{$word} // '-';
}
for my $quarry (sort keys %mass) {
    my $sum = 0;
    $sum += $_ for map { @$_ } values %{$mass{$quarry}};
    my @best = sort { $b <=> $a } map { (sort { $b <=> $a } @$_)[0] } values %{$mass{$quarry}};
    print join(' ', $quarry, scalar(keys %{$mass{$quarry}}), $sum, @best[0 .. 3]), "\n";
}
