# Runs inside a guest and does what the test says: a line holds a token and a command in base64,
# the answer is =token, exit code and output in base64. It needs no network, so it can watch one fail.
echo "=t0 0"
while read -r token command; do
    output=$(sh -c "$(printf %s "$command" | base64 -d)" 2>&1 </dev/null; printf 'code=%s' "$?")
    printf '=%s %s %s\n' "$token" "${output##*code=}" "$(printf %s "${output%code=*}" | base64 | tr -d '\n')"
done
