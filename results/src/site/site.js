// Sorts tables by a click on a column's name, and narrows a page to some allocators and rows.
// Without it everything is there, in the order of the file.
for (const table of document.querySelectorAll('table.sorts')) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const key = row => {
      const cell = row.cells[column], value = cell.dataset.value;
      return value === undefined ? cell.textContent : Number(value);
    };
    const order = (a, b) => typeof a === 'number' && typeof b === 'number'
      ? a - b : String(a).localeCompare(String(b));
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const rows = [...body.rows].sort((a, b) => order(key(a), key(b)));
      body.replaceChildren(...(down ? rows.reverse() : rows));
    });
  });
}
const form = document.querySelector('form.filter');
if (form) {
  form.hidden = false;
  const narrow = () => {
    const boxes = [...form.querySelectorAll('input[type=checkbox]')];
    const off = new Set(boxes.filter(box => !box.checked).map(box => box.value));
    const part = form.querySelector('input[type=search]').value.trim().toLowerCase();
    for (const one of document.querySelectorAll('[data-allocator]')) {
      one.toggleAttribute('data-hidden', off.has(one.dataset.allocator));
    }
    for (const one of document.querySelectorAll('figure[data-row]')) {
      one.toggleAttribute('data-hidden', !one.dataset.row.toLowerCase().includes(part));
    }
  };
  form.addEventListener('input', narrow);
  form.addEventListener('submit', event => event.preventDefault());
}
